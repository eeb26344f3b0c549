//! The one place that signs and verifies: HS256 only, size-capped, with `kid` rotation.

use std::fmt;

use aura_types::{Coded, ErrorCode};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::{Duration, OffsetDateTime};

use crate::config::{Secret, parse_pairs};

/// Why a token was not accepted. Callers are told no more than "invalid token".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than any token we sign.
    #[error("token is too long")]
    TooLong,
    /// Not a JWT, or with claims of the wrong shape, or a header that demands unknown extensions.
    #[error("token is malformed")]
    Malformed,
    /// Signed with another algorithm than the key's.
    #[error("token uses another algorithm")]
    WrongAlgorithm,
    /// No key of this id.
    #[error("token names an unknown key")]
    UnknownKey,
    /// The signature does not match.
    #[error("token signature does not match")]
    BadSignature,
    /// Past its expiry.
    #[error("token has expired")]
    Expired,
    /// Not valid yet, or issued in the future.
    #[error("token is not valid yet")]
    NotYetValid,
    /// Valid for longer than its kind allows.
    #[error("token lives too long")]
    LivesTooLong,
    /// Meant for somebody else, or issued by somebody else.
    #[error("token has another issuer or audience")]
    WrongParty,
}

impl Coded for TokenError {
    fn code(&self) -> ErrorCode {
        ErrorCode::Unauthenticated
    }

    fn safe_message(&self) -> String {
        match self {
            Self::Expired => "token has expired".to_owned(),
            _ => "invalid token".to_owned(),
        }
    }
}

/// Keys could not be used for signing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing to sign with.
    #[error("no key is configured")]
    Missing,
    /// The setting is not a secret nor `kid:secret` pairs.
    #[error("{0}")]
    Malformed(String),
    /// The library refused, which means the claims cannot be written as JSON.
    #[error("cannot sign: {0}")]
    Signing(String),
}

/// HS256 keys by id. The first signs; all verify, so that a new key overlaps with the old one.
#[derive(Clone)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Clone)]
struct Key {
    kid: Option<String>,
    secret: Secret,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.kid)).finish()
    }
}

impl KeySet {
    /// One key without an id, from a bare secret; or several from `kid:secret,kid:secret`.
    pub(super) fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Missing);
        }
        if !text.contains(':') {
            return Ok(Self(vec![Key { kid: None, secret: text.into() }]));
        }
        let pairs = parse_pairs(text).map_err(KeyError::Malformed)?;
        Ok(Self(pairs.into_iter().map(|(kid, secret)| Key { kid: Some(kid), secret }).collect()))
    }

    pub(super) fn sign<T: Serialize>(&self, claims: &T) -> Result<String, KeyError> {
        let key = self.0.first().ok_or(KeyError::Missing)?;
        let header = Header { kid: key.kid.clone(), ..Header::new(Algorithm::HS256) };
        sign(&header, claims, &key.secret)
    }

    pub(super) fn verify<T: DeserializeOwned>(&self, token: &str, max_bytes: usize) -> Result<T, TokenError> {
        let header = read_header(token, max_bytes)?;
        let mut found = Err(TokenError::UnknownKey);
        for key in self.0.iter().filter(|key| key.kid == header.kid) {
            found = verify(token, &key.secret);
            if found.is_ok() {
                break;
            }
        }
        found
    }
}

pub(super) fn sign<T: Serialize>(header: &Header, claims: &T, secret: &Secret) -> Result<String, KeyError> {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.expose().as_bytes()))
        .map_err(|error| KeyError::Signing(error.to_string()))
}

/// The header, after the checks that need no key.
pub(super) fn read_header(token: &str, max_bytes: usize) -> Result<Header, TokenError> {
    if token.len() > max_bytes {
        return Err(TokenError::TooLong);
    }
    // An unknown algorithm, "none" included, does not even parse.
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
    if header.alg != Algorithm::HS256 {
        return Err(TokenError::WrongAlgorithm);
    }
    if header.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    Ok(header)
}

/// Checks the signature only; expiry and parties are the caller's, against its own clock.
pub(super) fn verify<T: DeserializeOwned>(token: &str, secret: &Secret) -> Result<T, TokenError> {
    use jsonwebtoken::errors::ErrorKind;

    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(secret.expose().as_bytes());
    jsonwebtoken::decode::<T>(token, &key, &validation).map(|data| data.claims).map_err(|error| {
        match error.kind() {
            ErrorKind::InvalidSignature => TokenError::BadSignature,
            ErrorKind::InvalidAlgorithm => TokenError::WrongAlgorithm,
            _ => TokenError::Malformed,
        }
    })
}

/// Claims about time, in seconds since 1970.
pub(super) struct Validity {
    pub(super) not_before: Option<i64>,
    pub(super) expires: i64,
    pub(super) leeway: Duration,
}

impl Validity {
    pub(super) fn check(&self, now: OffsetDateTime) -> Result<(), TokenError> {
        let (now, leeway) = (now.unix_timestamp(), self.leeway.whole_seconds());
        if now >= self.expires.saturating_add(leeway) {
            return Err(TokenError::Expired);
        }
        if self.not_before.is_some_and(|start| start.saturating_sub(leeway) > now) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod forge {
    //! Tokens no honest signer makes, for the tests of each kind.

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    /// `header.claims.` with an empty signature.
    pub(crate) fn unsigned(alg: &str, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({"alg": alg, "typ": "JWT"})), part(claims))
    }

    /// Correctly signed with HS256 by `secret`, with any header fields and claims.
    pub(crate) fn signed(secret: &str, header: Value, claims: &Value) -> String {
        let header: jsonwebtoken::Header = serde_json::from_value(header).unwrap();
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }

    /// `token` with other claims under its old signature.
    pub(crate) fn with_claims(token: &str, claims: &Value) -> String {
        let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        parts[1] = URL_SAFE_NO_PAD.encode(claims.to_string());
        parts.join(".")
    }
}
