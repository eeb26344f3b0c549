//! Links that hand a file out to whoever holds them.

use super::Result;
use super::files::FileRow;
use crate::engine::link::Limits;
use crate::engine::page::{Cursor, Window};
use aura_types::{ShareId, UserId};
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, FromRow)]
pub(crate) struct ShareRow {
    pub(crate) id: Uuid,
    pub(crate) password_hash: Option<String>,
    pub(crate) expires_at: Option<OffsetDateTime>,
    pub(crate) max_downloads: Option<i32>,
    pub(crate) downloads: i32,
    pub(crate) revoked_at: Option<OffsetDateTime>,
    pub(crate) created_at: OffsetDateTime,
}

impl ShareRow {
    pub(crate) fn position(&self) -> Cursor {
        Cursor { created_at: self.created_at, id: self.id }
    }

    pub(crate) fn is_usable(&self, now: OffsetDateTime) -> bool {
        let limits = Limits { expires_at: self.expires_at, max_uses: self.max_downloads };
        limits.usable(self.downloads, self.revoked_at.is_some(), now)
    }
}

/// A share and what it hands out, as whoever holds its token sees them.
#[derive(Debug, FromRow)]
pub(crate) struct OpenShareRow {
    #[sqlx(flatten)]
    pub(crate) share: ShareRow,
    owner_id: Uuid,
    file_id: Uuid,
    pub(crate) name: String,
    pub(crate) size_bytes: i64,
    pub(crate) content_type: String,
    pub(crate) storage_key: String,
}

/// A share to be created.
#[derive(Debug)]
pub(crate) struct NewShare {
    pub(crate) id: ShareId,
    pub(crate) created_by: UserId,
    pub(crate) token_hash: [u8; 32],
    pub(crate) password_hash: Option<String>,
    pub(crate) limits: Limits,
}

pub(crate) async fn insert(
    tx: &mut PgConnection,
    file: &FileRow,
    share: &NewShare,
    now: OffsetDateTime,
) -> Result<ShareRow> {
    Ok(sqlx::query_as(
        "INSERT INTO share_links (id, owner_id, file_id, created_by, token_hash, password_hash, expires_at,
                                  max_downloads, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         RETURNING id, password_hash, expires_at, max_downloads, downloads, revoked_at, created_at",
    )
    .bind(share.id.uuid())
    .bind(file.owner_id)
    .bind(file.id)
    .bind(share.created_by.uuid())
    .bind(&share.token_hash[..])
    .bind(&share.password_hash)
    .bind(share.limits.expires_at)
    .bind(share.limits.max_uses)
    .bind(now)
    .fetch_one(tx)
    .await?)
}

pub(crate) async fn list(tx: &mut PgConnection, file: &FileRow, window: &Window) -> Result<Vec<ShareRow>> {
    Ok(sqlx::query_as(
        "SELECT id, password_hash, expires_at, max_downloads, downloads, revoked_at, created_at FROM share_links
         WHERE owner_id = $1 AND file_id = $2 AND (created_at, id) < ($3, $4)
         ORDER BY created_at DESC, id DESC LIMIT $5",
    )
    .bind(file.owner_id)
    .bind(file.id)
    .bind(window.after.created_at)
    .bind(window.after.id)
    .bind(window.fetch())
    .fetch_all(tx)
    .await?)
}

/// False when the file has no such share.
pub(crate) async fn revoke(
    tx: &mut PgConnection,
    file: &FileRow,
    id: ShareId,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE share_links SET revoked_at = COALESCE(revoked_at, $4)
         WHERE owner_id = $1 AND file_id = $2 AND id = $3",
    )
    .bind(file.owner_id)
    .bind(file.id)
    .bind(id.uuid())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// System role.
pub(crate) async fn find(tx: &mut PgConnection, token_hash: &[u8; 32]) -> Result<Option<OpenShareRow>> {
    Ok(sqlx::query_as(
        "SELECT s.id, s.password_hash, s.expires_at, s.max_downloads, s.downloads, s.revoked_at, s.created_at,
                s.owner_id, s.file_id, f.name, f.size_bytes, f.content_type, f.storage_key
         FROM share_links s JOIN files f ON f.owner_id = s.owner_id AND f.id = s.file_id
         WHERE s.token_hash = $1",
    )
    .bind(&token_hash[..])
    .fetch_optional(tx)
    .await?)
}

/// Counts a download if the share still allows one; of two last downloads at once, one is refused. System role.
pub(crate) async fn count_download(
    tx: &mut PgConnection,
    open: &OpenShareRow,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE share_links SET downloads = downloads + 1
         WHERE owner_id = $1 AND file_id = $2 AND id = $3 AND revoked_at IS NULL
           AND (expires_at IS NULL OR expires_at > $4) AND (max_downloads IS NULL OR downloads < max_downloads)",
    )
    .bind(open.owner_id)
    .bind(open.file_id)
    .bind(open.share.id)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}
