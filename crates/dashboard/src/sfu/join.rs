//! Join tokens: LiveKit access tokens for one room, one identity, a few minutes.
//!
//! The SFU renews a token while its bearer stays, so a short life limits only late or repeated use.

use super::RoomName;
use aura_service::auth::access_token::{AccessToken, VideoGrants};
use aura_service::config::{LivekitKeys, Secret};
use aura_service::error::ServiceError;
use serde_json::{Map, Value};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

#[derive(Clone)]
pub(crate) struct JoinTokens(Arc<Signer>);

struct Signer {
    key: String,
    secret: Secret,
    url: String,
    ttl: Duration,
}

/// Who is let in where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission<'a> {
    pub(crate) room: RoomName,
    pub(crate) identity: &'a str,
    pub(crate) name: &'a str,
    pub(crate) terms: RoomTerms<'a>,
}

/// What holds in the room. The token carries it, so that it holds whoever creates the room, also after the SFU began
/// anew and people come back with the tokens they have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RoomTerms<'a> {
    pub(crate) max_participants: Option<i32>,
    pub(crate) metadata: Option<&'a Value>,
}

/// Tokens travel in addresses, and proxies take 8 KiB of those: longer metadata is applied before people join only.
const MAX_METADATA_BYTES: usize = 2_048;

impl RoomTerms<'_> {
    /// LiveKit's `RoomConfiguration`; None when there is nothing to say.
    fn configuration(&self) -> Option<Value> {
        let mut configuration = Map::new();
        if let Some(max) = self.max_participants {
            configuration.insert("maxParticipants".into(), max.into());
        }
        let metadata = self.metadata.map(Value::to_string);
        if let Some(metadata) = metadata.filter(|text| text.len() <= MAX_METADATA_BYTES) {
            configuration.insert("metadata".into(), metadata.into());
        }
        (!configuration.is_empty()).then_some(Value::Object(configuration))
    }
}

/// A signed admission.
#[derive(Debug, Clone)]
pub(crate) struct SignedJoin {
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) expires_at: OffsetDateTime,
}

impl JoinTokens {
    /// None when no API key is configured.
    pub(crate) fn new(keys: &LivekitKeys, url: &str, ttl: Duration) -> Option<Self> {
        let (key, secret) = keys.first()?;
        Some(Self(Arc::new(Signer { key: key.to_owned(), secret: secret.clone(), url: url.to_owned(), ttl })))
    }

    pub(crate) fn sign(
        &self,
        admission: Admission<'_>,
        now: OffsetDateTime,
    ) -> Result<SignedJoin, ServiceError> {
        let Signer { key, secret, url, ttl } = &*self.0;
        // Own metadata may change: raised hands travel as attributes. Administration stays with the dashboard.
        let grants = VideoGrants {
            room_join: true,
            room: admission.room.to_string(),
            can_publish: Some(true),
            can_subscribe: Some(true),
            can_publish_data: Some(true),
            can_update_own_metadata: Some(true),
            ..Default::default()
        };
        let mut token = AccessToken::new(admission.identity).name(admission.name).ttl(*ttl).video(grants);
        if let Some(configuration) = admission.terms.configuration() {
            token = token.room_config(configuration);
        }
        let token = token.sign(key, secret, now).map_err(ServiceError::internal)?;
        Ok(SignedJoin { url: url.clone(), token, expires_at: now + *ttl })
    }
}
