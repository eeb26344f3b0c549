//! Files.

use crate::store::files::FileRow;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An uploaded file, without its bytes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct File {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) size_bytes: i64,
    /// Told from the content, never from the uploader's claim.
    pub(crate) content_type: String,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
    #[schema(required = true)]
    pub(crate) room_id: Option<Uuid>,
    pub(crate) uploader_name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

impl From<FileRow> for File {
    fn from(row: FileRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            size_bytes: row.size_bytes,
            content_type: row.content_type,
            sha256: hex::encode(row.sha256),
            room_id: row.room_id,
            uploader_name: row.uploader_name,
            created_at: row.created_at,
        }
    }
}
