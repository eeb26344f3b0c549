//! Service tokens: one of our processes calling another. Claims `service`, `iss: "auralink"` and `exp` at
//! most five minutes ahead; a verifier refuses longer-lived ones, so a leaked token is soon worthless.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::jwt::{KeyError, KeySet, TokenError, Validity};
use crate::config::Secret;

/// Who issues service tokens.
pub const ISSUER: &str = "auralink";

/// The longest life a service token may have.
pub const MAX_TTL: Duration = Duration::minutes(5);

const SIGNED_TTL: Duration = Duration::minutes(2);
const MAX_BYTES: usize = 2 * 1024;
const LEEWAY: Duration = Duration::seconds(5);

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    service: String,
    iss: String,
    exp: i64,
}

/// The keys service tokens are signed with.
#[derive(Debug, Clone)]
pub struct ServiceKeys(KeySet);

impl ServiceKeys {
    /// Reads `AURALINK_SERVICE_SECRET`: one secret, or `kid:secret,kid:secret` (the first signs).
    ///
    /// # Errors
    /// When there is no key, or a pair is malformed.
    pub fn new(secret: &Secret) -> Result<Self, KeyError> {
        KeySet::parse(secret.expose()).map(Self)
    }

    /// A token for `service`, good for two minutes.
    ///
    /// # Errors
    /// When the claims cannot be encoded.
    pub fn sign(&self, service: &str, now: OffsetDateTime) -> Result<String, KeyError> {
        self.0.sign(&Claims {
            service: service.to_owned(),
            iss: ISSUER.to_owned(),
            exp: (now + SIGNED_TTL).unix_timestamp(),
        })
    }

    /// The service that signed `token`.
    ///
    /// # Errors
    /// Says which check failed; tell the caller no more than its `safe_message`.
    pub fn verify(&self, token: &str, now: OffsetDateTime) -> Result<String, TokenError> {
        let claims: Claims = self.0.verify(token, MAX_BYTES)?;
        if claims.iss != ISSUER || claims.service.is_empty() {
            return Err(TokenError::WrongParty);
        }
        if claims.exp > (now + MAX_TTL + LEEWAY).unix_timestamp() {
            return Err(TokenError::LivesTooLong);
        }
        Validity { not_before: None, expires: claims.exp, leeway: LEEWAY }.check(now)?;
        Ok(claims.service)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::jwt::forge;
    use super::*;

    const SECRET: &str = "4f1d9c7be2a35f60f1d9c7be2a35f604";
    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::days(20_000));

    #[test]
    fn only_short_lived_tokens_of_ours_pass() {
        let keys = ServiceKeys::new(&SECRET.into()).unwrap();
        let token = keys.sign("dashboard", NOW).unwrap();
        assert_eq!(keys.verify(&token, NOW), Ok("dashboard".to_owned()));
        assert_eq!(keys.verify(&token, NOW + Duration::minutes(3)), Err(TokenError::Expired));

        let exp = (NOW + Duration::minutes(4)).unix_timestamp();
        let far = (NOW + Duration::minutes(6)).unix_timestamp();
        let header = json!({"alg": "HS256"});
        let sign = |claims| forge::signed(SECRET, header.clone(), &claims);
        let ok = json!({"service": "dashboard", "iss": "auralink", "exp": exp});
        assert!(keys.verify(&sign(ok.clone()), NOW).is_ok());
        let cases = [
            (sign(json!({"service": "dashboard", "iss": "auralink", "exp": far})), TokenError::LivesTooLong),
            (sign(json!({"service": "dashboard", "iss": "other", "exp": exp})), TokenError::WrongParty),
            (sign(json!({"service": "", "iss": "auralink", "exp": exp})), TokenError::WrongParty),
            (sign(json!({"service": "dashboard", "iss": "auralink"})), TokenError::Malformed),
            (forge::unsigned("none", &ok), TokenError::Malformed),
            (forge::signed("other", header.clone(), &ok), TokenError::BadSignature),
            (sign(json!({"service": "x".repeat(4_000), "iss": "auralink", "exp": exp})), TokenError::TooLong),
        ];
        for (token, expected) in cases {
            assert_eq!(keys.verify(&token, NOW), Err(expected), "{token}");
        }
    }

    #[test]
    fn a_user_token_is_not_a_service_token_even_under_one_secret() {
        use super::super::user::{UserClaims, UserKeys};
        let user = UserKeys::parse(SECRET).unwrap();
        let token = user.sign(&UserClaims::new("alice", "s", NOW, Duration::minutes(2))).unwrap();
        let service = ServiceKeys::new(&SECRET.into()).unwrap();
        assert_eq!(service.verify(&token, NOW), Err(TokenError::Malformed));
        let token = service.sign("dashboard", NOW).unwrap();
        assert_eq!(user.verify(&token, NOW), Err(TokenError::Malformed));
    }
}
