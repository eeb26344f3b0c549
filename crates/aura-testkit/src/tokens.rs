//! Tokens as others would sign them, genuine and forged. Written apart from `aura_service::auth` on purpose:
//! a mistake made in both places alike would otherwise pass.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// Seconds since 1970.
#[must_use]
pub fn now_s() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "tests have no clock of ours: services run for real")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(now.as_secs()).expect("the clock is not past the year 292 billion")
}

/// `claims` signed with HS256, no key id.
#[must_use]
pub fn signed(secret: &str, claims: &Value) -> String {
    signed_with(Header::new(Algorithm::HS256), secret, claims)
}

/// `claims` signed with HS256 under the key id `kid`.
#[must_use]
pub fn signed_kid(kid: &str, secret: &str, claims: &Value) -> String {
    signed_with(Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) }, secret, claims)
}

fn signed_with(header: Header, secret: &str, claims: &Value) -> String {
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("HS256 signs any claims")
}

/// A LiveKit access token: `claims` (`sub`, `name`, `video`, …) with `iss`, `nbf` and an `exp` in an hour
/// where `claims` has none.
#[must_use]
pub fn livekit(api_key: &str, secret: &str, claims: Value) -> String {
    let now = now_s();
    signed(secret, &with_defaults(claims, json!({"iss": api_key, "nbf": now, "exp": now + 3_600})))
}

/// A LiveKit access token that lets `identity` join `room`.
#[must_use]
pub fn join(api_key: &str, secret: &str, room: &str, identity: &str) -> String {
    let video = json!({"roomJoin": true, "room": room});
    livekit(api_key, secret, json!({"sub": identity, "name": identity, "video": video}))
}

/// A user token: `claims` with the usual audience, session and times where it has none.
#[must_use]
pub fn user(secret: &str, claims: Value) -> String {
    let now = now_s();
    let defaults = json!({"aud": "auralink", "sid": uuid::Uuid::now_v7(), "iat": now, "exp": now + 900});
    signed(secret, &with_defaults(claims, defaults))
}

/// A service token good for `ttl_s` seconds.
#[must_use]
pub fn service(secret: &str, service: &str, ttl_s: i64) -> String {
    signed(secret, &json!({"service": service, "iss": "auralink", "exp": now_s() + ttl_s}))
}

/// `claims` under `alg: none` and an empty signature.
#[must_use]
pub fn alg_none(claims: &Value) -> String {
    format!("{}.{}.", base64url(br#"{"alg":"none","typ":"JWT"}"#), base64url(claims.to_string().as_bytes()))
}

/// `token` with its claims replaced and its old signature kept.
#[must_use]
pub fn with_claims(token: &str, claims: &Value) -> String {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts[1] = base64url(claims.to_string().as_bytes());
    parts.join(".")
}

fn with_defaults(mut claims: Value, defaults: Value) -> Value {
    let (Value::Object(claims_map), Value::Object(defaults)) = (&mut claims, defaults) else {
        panic!("claims are an object");
    };
    for (name, value) in defaults {
        claims_map.entry(name).or_insert(value);
    }
    claims
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0_u32, |word, (i, b)| word | u32::from(*b) << (16 - 8 * i));
        for i in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * i) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_by_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64url(bytes.as_bytes()), text);
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }
}
