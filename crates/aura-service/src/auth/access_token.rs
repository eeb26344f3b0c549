//! LiveKit access tokens: what a participant, or a server driving rooms, may do.
//!
//! Wire-compatible in both directions: tokens signed by any LiveKit SDK verify here, and ours work with
//! any LiveKit client. `iss` names the API key, `sub` the identity; `exp` is mandatory, and a minute of
//! clock difference is forgiven. `null` is absent, times may have a fraction, and names of kinds any letter case. The
//! error texts are LiveKit's own, since its clients read them.

use std::collections::BTreeMap;
use std::fmt;

use aura_types::{Coded, ErrorCode};
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Number, Value};
use time::{Duration, OffsetDateTime};

pub use super::grants::VideoGrants;
use super::jwt::{self, KeyError, TokenError, Validity};
use crate::config::{LivekitKeys, Secret};
use crate::json;

/// What clocks may differ by.
pub const LEEWAY: Duration = Duration::seconds(60);

/// How long a token is good for unless said otherwise.
pub const DEFAULT_TTL: Duration = Duration::hours(6);

/// How long a renewed token is good for at least, however soon the one before it ends.
pub const MIN_RENEWED_TTL: Duration = Duration::minutes(10);

/// Metadata and attributes travel inside, so these are larger than other tokens.
const MAX_BYTES: usize = 64 * 1024;

/// Why a token does not let its bearer in. `Display` is what LiveKit answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Malformed, forged, expired, or not yet valid.
    #[error("invalid authorization token")]
    InvalidToken(#[source] TokenError),
    /// Signed for an API key we do not have.
    #[error("invalid API key")]
    UnknownApiKey,
    /// Genuine, but without the grant that this needs.
    #[error("permissions denied")]
    PermissionDenied,
}

impl Coded for AccessError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidToken(_) | Self::UnknownApiKey => ErrorCode::Unauthenticated,
            Self::PermissionDenied => ErrorCode::PermissionDenied,
        }
    }

    fn safe_message(&self) -> String {
        self.to_string()
    }
}

/// What kind of participant the bearer is. Kinds this version does not know are standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all(serialize = "lowercase"), from = "String")]
#[non_exhaustive]
pub enum Kind {
    /// A person with a client.
    #[default]
    Standard,
    /// A stream brought in.
    Ingress,
    /// A stream taken out.
    Egress,
    /// A telephone.
    Sip,
    /// A program that takes part.
    Agent,
    /// An external service.
    Connector,
    /// A bridge between rooms.
    Bridge,
}

impl From<String> for Kind {
    fn from(name: String) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "ingress" => Self::Ingress,
            "egress" => Self::Egress,
            "sip" => Self::Sip,
            "agent" => Self::Agent,
            "connector" => Self::Connector,
            "bridge" => Self::Bridge,
            _ => Self::Standard,
        }
    }
}

/// Every claim of an access token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The API key.
    #[serde(rename = "iss", default)]
    pub issuer: String,
    /// The participant's identity; empty for servers.
    #[serde(rename = "sub", default, skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// Expires, in seconds since 1970.
    #[serde(deserialize_with = "seconds")]
    pub exp: i64,
    /// Not valid before, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_seconds")]
    pub nbf: Option<i64>,
    /// The display name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Opaque to us.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    /// Key-value state other participants see.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// What kind of participant this is.
    #[serde(default, skip_serializing_if = "is_standard")]
    pub kind: Kind,
    /// Details of the kind, passed on to clients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kind_details: Vec<String>,
    /// The hash of a signed body (webhooks).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// A named room configuration.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub room_preset: String,
    /// `RoomConfiguration` as JSON, used when the join creates the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_config: Option<Value>,
    /// Rooms and media.
    #[serde(default)]
    pub video: VideoGrants,
    /// Telephony.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip: Option<Value>,
    /// Agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Value>,
    /// Inference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference: Option<Value>,
    /// Observability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observability: Option<Value>,
}

/// A NumericDate (RFC 7519 §2), which may have a fraction.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let number = Number::deserialize(from)?;
    #[expect(clippy::cast_possible_truncation, reason = "the fraction is meant to go; the rest saturates")]
    let whole = |float: f64| float as i64;
    number
        .as_i64()
        .or_else(|| number.as_f64().map(whole))
        .ok_or_else(|| serde::de::Error::custom("not a time"))
}

fn some_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    seconds(from).map(Some)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_standard(kind: &Kind) -> bool {
    *kind == Kind::Standard
}

impl Claims {
    /// The bearer may join `room`; an empty `room` stands for the one the token names.
    ///
    /// # Errors
    /// [`AccessError::PermissionDenied`].
    pub fn ensure_join(&self, room: &str) -> Result<&str, AccessError> {
        let granted = self.video.room.as_str();
        let same = room.is_empty() || room == granted;
        if self.video.room_join && same { Ok(granted) } else { Err(AccessError::PermissionDenied) }
    }

    /// The bearer may administer `room`.
    ///
    /// # Errors
    /// [`AccessError::PermissionDenied`].
    pub fn ensure_admin(&self, room: &str) -> Result<(), AccessError> {
        ensure(self.video.room_admin && !room.is_empty() && self.video.room == room)
    }

    /// The bearer may create and delete rooms.
    ///
    /// # Errors
    /// [`AccessError::PermissionDenied`].
    pub fn ensure_create(&self) -> Result<(), AccessError> {
        ensure(self.video.room_create)
    }

    /// The bearer may list rooms.
    ///
    /// # Errors
    /// [`AccessError::PermissionDenied`].
    pub fn ensure_list(&self) -> Result<(), AccessError> {
        ensure(self.video.room_list)
    }
}

fn ensure(allowed: bool) -> Result<(), AccessError> {
    if allowed { Ok(()) } else { Err(AccessError::PermissionDenied) }
}

/// An access token being written.
#[derive(Debug, Clone, Default)]
pub struct AccessToken {
    claims: Claims,
    ttl: Option<Duration>,
}

impl AccessToken {
    /// For the participant `identity`; empty for a server.
    #[must_use]
    pub fn new(identity: impl Into<String>) -> Self {
        Self { claims: Claims { identity: identity.into(), ..Default::default() }, ttl: None }
    }

    /// Goes on where `claims` end: says the same, is good for as long as they are, but for
    /// [`MIN_RENEWED_TTL`] at least.
    #[must_use]
    pub fn renewing(claims: &Claims, now: OffsetDateTime) -> Self {
        let remaining = Duration::seconds(claims.exp.saturating_sub(now.unix_timestamp()));
        // The hash was of a body that this token does not come with.
        let claims = Claims { sha256: String::new(), ..claims.clone() };
        Self { claims, ttl: Some(remaining.max(MIN_RENEWED_TTL)) }
    }

    /// Sets the display name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.claims.name = name.into();
        self
    }

    /// Sets the metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<String>) -> Self {
        self.claims.metadata = metadata.into();
        self
    }

    /// Sets the attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: impl IntoIterator<Item = (String, String)>) -> Self {
        self.claims.attributes = attributes.into_iter().collect();
        self
    }

    /// Sets the kind.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.claims.kind = kind;
        self
    }

    /// Sets the hash of the body this token signs.
    #[must_use]
    pub fn sha256(mut self, sha256: impl Into<String>) -> Self {
        self.claims.sha256 = sha256.into();
        self
    }

    /// Sets the configuration of a room that this join creates.
    #[must_use]
    pub fn room_config(mut self, config: Value) -> Self {
        self.claims.room_config = Some(config);
        self
    }

    /// Sets how long the token is good for.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sets the grants.
    #[must_use]
    pub fn video(mut self, video: VideoGrants) -> Self {
        self.claims.video = video;
        self
    }

    /// Signs, valid from `now`.
    ///
    /// # Errors
    /// When the claims cannot be encoded.
    pub fn sign(self, api_key: &str, secret: &Secret, now: OffsetDateTime) -> Result<String, KeyError> {
        let (now, ttl) = (now.unix_timestamp(), self.ttl.unwrap_or(DEFAULT_TTL));
        let claims = Claims {
            issuer: api_key.to_owned(),
            nbf: Some(now),
            exp: now.saturating_add(ttl.whole_seconds()),
            ..self.claims
        };
        jwt::sign(&Header::new(Algorithm::HS256), &claims, secret)
    }
}

/// The API keys whose tokens are accepted.
#[derive(Clone)]
pub struct ApiKeys(LivekitKeys);

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

impl From<&LivekitKeys> for ApiKeys {
    fn from(keys: &LivekitKeys) -> Self {
        Self(keys.clone())
    }
}

impl ApiKeys {
    /// The pair that signs.
    #[must_use]
    pub fn first(&self) -> Option<(&str, &Secret)> {
        self.0.first()
    }

    /// Verifies signature and times. Grants are the caller's to check.
    ///
    /// # Errors
    /// [`AccessError::InvalidToken`] or [`AccessError::UnknownApiKey`].
    pub fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Claims, AccessError> {
        #[derive(Deserialize)]
        struct Issuer {
            #[serde(default)]
            iss: String,
        }

        jwt::read_header(token, MAX_BYTES).map_err(AccessError::InvalidToken)?;
        // Reads one unverified claim, only to find the key that verifies the rest.
        let issuer = jsonwebtoken::dangerous::insecure_decode::<Issuer>(token)
            .map_err(|_| AccessError::InvalidToken(TokenError::Malformed))?
            .claims
            .iss;
        let secret = self.0.get(&issuer).ok_or(AccessError::UnknownApiKey)?;
        let mut claims: Value = jwt::verify(token, secret).map_err(AccessError::InvalidToken)?;
        // Old SDKs put the identity there.
        let id = claims.get("jti").filter(|id| id.is_string()).cloned();
        if let (Value::Object(claims), Some(id)) = (&mut claims, id)
            && claims.get("sub").is_none_or(|identity| identity.is_null() || identity == "")
        {
            claims.insert("sub".into(), id);
        }
        let claims: Claims =
            json::from_value(claims).map_err(|_| AccessError::InvalidToken(TokenError::Malformed))?;
        Validity { not_before: claims.nbf, expires: claims.exp, leeway: LEEWAY }
            .check(now)
            .map_err(AccessError::InvalidToken)?;
        Ok(claims)
    }
}

#[cfg(test)]
#[path = "access_token_tests.rs"]
mod tests;
