//! Share links.

use crate::store::shares::{OpenShareRow, ShareRow};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A link that hands a file out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Share {
    pub(crate) id: Uuid,
    /// Only in the reply to its creation.
    #[schema(required = true)]
    pub(crate) url: Option<String>,
    /// Only in the reply to its creation; stored as a hash.
    #[schema(required = true)]
    pub(crate) token: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub(crate) expires_at: Option<OffsetDateTime>,
    #[schema(required = true)]
    pub(crate) max_downloads: Option<i32>,
    pub(crate) downloads: i32,
    pub(crate) has_password: bool,
    pub(crate) revoked: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

impl Share {
    /// As it is listed: without the secret.
    pub(crate) fn listed(row: ShareRow) -> Self {
        Self {
            id: row.id,
            url: None,
            token: None,
            expires_at: row.expires_at,
            max_downloads: row.max_downloads,
            downloads: row.downloads,
            has_password: row.password_hash.is_some(),
            revoked: row.revoked_at.is_some(),
            created_at: row.created_at,
        }
    }

    /// As its creator sees it, once.
    pub(crate) fn created(row: ShareRow, token: String, url: String) -> Self {
        Self { url: Some(url), token: Some(token), ..Self::listed(row) }
    }
}

/// What a share link shows before the download.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SharePreview {
    pub(crate) name: String,
    pub(crate) size_bytes: i64,
    pub(crate) content_type: String,
    pub(crate) has_password: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub(crate) expires_at: Option<OffsetDateTime>,
}

impl From<&OpenShareRow> for SharePreview {
    fn from(row: &OpenShareRow) -> Self {
        Self {
            name: row.name.clone(),
            size_bytes: row.size_bytes,
            content_type: row.content_type.clone(),
            has_password: row.share.password_hash.is_some(),
            expires_at: row.share.expires_at,
        }
    }
}
