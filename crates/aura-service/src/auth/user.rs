//! User tokens: a person at the dashboard, for minutes at a time.
//!
//! `scope` narrows a token and never widens it: a guest's token carries `room:<id>` and is good for that
//! room's chat and files only. A verifier that does not expect scoped tokens must refuse them.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::jwt::{KeyError, KeySet, TokenError, Validity};

/// Who user tokens are for.
pub const AUDIENCE: &str = "auralink";

const MAX_BYTES: usize = 4 * 1024;
const MAX_TTL: Duration = Duration::days(1);
const LEEWAY: Duration = Duration::seconds(5);

/// What a user token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserClaims {
    /// The user's id, or `guest-<uuid>`.
    pub sub: String,
    /// Always [`AUDIENCE`].
    pub aud: String,
    /// The login session this token was issued in, so that it can be revoked.
    pub sid: String,
    /// Issued, in seconds since 1970.
    pub iat: i64,
    /// Expires, in seconds since 1970.
    pub exp: i64,
    /// What the token is limited to, for example `room:<id>`. Absent: everything the user may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

impl UserClaims {
    /// Claims that start now.
    #[must_use]
    pub fn new(sub: impl Into<String>, sid: impl Into<String>, now: OffsetDateTime, ttl: Duration) -> Self {
        let iat = now.unix_timestamp();
        Self {
            sub: sub.into(),
            aud: AUDIENCE.to_owned(),
            sid: sid.into(),
            iat,
            exp: iat + ttl.min(MAX_TTL).whole_seconds(),
            scope: None,
        }
    }

    /// The same, limited to `scope`.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }
}

/// The keys user tokens are signed with.
#[derive(Debug, Clone)]
pub struct UserKeys(KeySet);

impl UserKeys {
    /// Reads `AURALINK_USER_SECRET`: one secret, or `kid:secret,kid:secret` (the first signs).
    ///
    /// # Errors
    /// When there is no key, or a pair is malformed.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        KeySet::parse(text).map(Self)
    }

    /// Signs claims.
    ///
    /// # Errors
    /// When the claims cannot be encoded.
    pub fn sign(&self, claims: &UserClaims) -> Result<String, KeyError> {
        self.0.sign(claims)
    }

    /// Verifies signature, audience and times.
    ///
    /// # Errors
    /// Says which check failed; tell the caller no more than its `safe_message`.
    pub fn verify(&self, token: &str, now: OffsetDateTime) -> Result<UserClaims, TokenError> {
        let claims: UserClaims = self.0.verify(token, MAX_BYTES)?;
        if claims.aud != AUDIENCE {
            return Err(TokenError::WrongParty);
        }
        if claims.exp.saturating_sub(claims.iat) > MAX_TTL.whole_seconds() {
            return Err(TokenError::LivesTooLong);
        }
        Validity { not_before: Some(claims.iat), expires: claims.exp, leeway: LEEWAY }.check(now)?;
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::jwt::forge;
    use super::*;

    const SECRET: &str = "4f1d9c7be2a35f60f1d9c7be2a35f604";
    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::days(20_000));

    fn claims() -> UserClaims {
        UserClaims::new("alice", "session", NOW, Duration::minutes(15))
    }

    #[test]
    fn signed_tokens_verify_until_they_expire() {
        let keys = UserKeys::parse(SECRET).unwrap();
        let token = keys.sign(&claims().with_scope("room:x")).unwrap();
        assert_eq!(keys.verify(&token, NOW), Ok(claims().with_scope("room:x")));
        assert_eq!(keys.verify(&token, NOW + Duration::minutes(16)), Err(TokenError::Expired));
        assert_eq!(keys.verify(&token, NOW - Duration::minutes(1)), Err(TokenError::NotYetValid));
    }

    #[test]
    fn rotation_overlaps() {
        let old = UserKeys::parse(&format!("k1:{SECRET}")).unwrap();
        let new_secret = "another-secret-of-thirty-two-byte";
        let both = UserKeys::parse(&format!("k2:{new_secret},k1:{SECRET}")).unwrap();
        let after = UserKeys::parse(&format!("k2:{new_secret}")).unwrap();
        let token = old.sign(&claims()).unwrap();
        assert!(both.verify(&token, NOW).is_ok());
        assert_eq!(after.verify(&token, NOW), Err(TokenError::UnknownKey));
        assert_eq!(old.verify(&both.sign(&claims()).unwrap(), NOW), Err(TokenError::UnknownKey));
    }

    #[test]
    fn mutations_are_refused() {
        let keys = UserKeys::parse(&format!("k1:{SECRET}")).unwrap();
        let good = serde_json::to_value(claims()).unwrap();
        let token = keys.sign(&claims()).unwrap();
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": "k1"});
        let sign = |patch: serde_json::Value| {
            let mut claims = good.clone();
            for (key, value) in patch.as_object().unwrap() {
                if value.is_null() {
                    claims.as_object_mut().unwrap().remove(key);
                } else {
                    claims[key] = value.clone();
                }
            }
            forge::signed(SECRET, header.clone(), &claims)
        };
        assert!(keys.verify(&sign(json!({})), NOW).is_ok(), "the unchanged claims pass");
        let cases = [
            ("alg none", forge::unsigned("none", &good), TokenError::Malformed),
            ("alg NONE", forge::unsigned("NONE", &good), TokenError::Malformed),
            ("alg HS512", forge::unsigned("HS512", &good), TokenError::WrongAlgorithm),
            ("alg RS256", forge::unsigned("RS256", &good), TokenError::WrongAlgorithm),
            ("no signature", token.rsplit_once('.').unwrap().0.to_owned() + ".", TokenError::BadSignature),
            ("other claims", forge::with_claims(&token, &json!({"sub": "eve"})), TokenError::BadSignature),
            ("other secret", forge::signed("x", header.clone(), &good), TokenError::BadSignature),
            (
                "unknown kid",
                forge::signed(SECRET, json!({"alg": "HS256", "kid": "k9"}), &good),
                TokenError::UnknownKey,
            ),
            ("no kid", forge::signed(SECRET, json!({"alg": "HS256"}), &good), TokenError::UnknownKey),
            (
                "critical extension",
                forge::signed(SECRET, json!({"alg": "HS256", "kid": "k1", "crit": ["exp"]}), &good),
                TokenError::Malformed,
            ),
            ("other audience", sign(json!({"aud": "other"})), TokenError::WrongParty),
            ("no audience", sign(json!({"aud": null})), TokenError::Malformed),
            ("no expiry", sign(json!({"exp": null})), TokenError::Malformed),
            ("far expiry", sign(json!({"exp": i64::MAX})), TokenError::LivesTooLong),
            ("expiry as text", sign(json!({"exp": "tomorrow"})), TokenError::Malformed),
            (
                "issued in the future",
                sign(json!({"iat": NOW.unix_timestamp() + 600})),
                TokenError::NotYetValid,
            ),
            ("oversized", sign(json!({"sub": "x".repeat(8_000)})), TokenError::TooLong),
            ("empty", String::new(), TokenError::Malformed),
            ("dots", "...".to_owned(), TokenError::Malformed),
        ];
        for (name, token, expected) in cases {
            assert_eq!(keys.verify(&token, NOW), Err(expected), "{name}");
        }
    }
}
