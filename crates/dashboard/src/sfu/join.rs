//! Join tokens: LiveKit access tokens for one room, one identity, a few minutes.
//!
//! The SFU renews a token while its bearer stays, so a short life limits only late or repeated use.

use super::RoomName;
use aura_service::auth::access_token::{AccessToken, VideoGrants};
use aura_service::config::{LivekitKeys, Secret};
use aura_service::error::ServiceError;
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
        let token = AccessToken::new(admission.identity)
            .name(admission.name)
            .ttl(*ttl)
            .video(grants)
            .sign(key, secret, now)
            .map_err(ServiceError::internal)?;
        Ok(SignedJoin { url: url.clone(), token, expires_at: now + *ttl })
    }
}
