//! Accounts and people.

use crate::store::people::PersonRow;
use crate::store::users::UserRow;
use aura_types::UserId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A person as others see them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Person {
    #[schema(value_type = Uuid)]
    pub(crate) id: UserId,
    pub(crate) display_name: String,
    #[schema(example = "@alice.aura")]
    pub(crate) aura_id: String,
}

impl From<PersonRow> for Person {
    fn from(row: PersonRow) -> Self {
        Self { id: UserId::from_uuid(row.user_id), display_name: row.display_name, aura_id: row.aura_id }
    }
}

/// The account of whoever asks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) display_name: String,
    #[schema(example = "@alice.aura")]
    pub(crate) aura_id: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            email: row.email,
            display_name: row.display_name,
            aura_id: row.aura_id,
            created_at: row.created_at,
        }
    }
}

/// A login: a short-lived access token and the means to renew it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    /// Send as `Authorization: Bearer …`.
    pub(crate) access_token: String,
    #[schema(example = "Bearer")]
    pub(crate) token_type: &'static str,
    /// Seconds the access token lives.
    pub(crate) expires_in: i64,
    /// Single use. Null when it travels in the `aura_refresh` cookie.
    #[schema(required = true)]
    pub(crate) refresh_token: Option<String>,
    pub(crate) user: User,
}
