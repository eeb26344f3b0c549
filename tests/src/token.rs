//! LiveKit access tokens as a customer's own backend would sign them.

use std::time::Duration;

use aura_types::{Clock, SystemClock};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

/// A token for `identity` with the claims of `video`.
pub fn sign(key: &str, secret: &str, identity: &str, video: Value) -> String {
    let now = SystemClock.now().unix_timestamp();
    let lifetime = Duration::from_secs(600).as_secs();
    let claims = json!({
        "iss": key,
        "sub": identity,
        "name": identity,
        "nbf": now,
        "exp": now.saturating_add_unsigned(lifetime),
        "video": video,
    });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("claims are JSON")
}

/// A token that lets `identity` into `room` with every right a participant has.
pub fn join(key: &str, secret: &str, identity: &str, room: &str) -> String {
    let video = json!({ "roomJoin": true, "room": room, "canUpdateOwnMetadata": true });
    sign(key, secret, identity, video)
}

/// A token of one of our own services, good for two minutes.
pub fn service(secret: &str, service: &str) -> String {
    let exp = SystemClock.now().unix_timestamp() + 120;
    let claims = json!({ "service": service, "iss": "auralink", "exp": exp });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("claims are JSON")
}
