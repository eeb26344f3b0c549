//! What the dashboard keeps: one repository per aggregate, plain functions over a transaction.
//!
//! Callers open the transaction (`Database::tenant` for a user's own work, `Database::system` for the few things
//! done for nobody in particular), so that what must be atomic is, and row-level security always applies.

pub(crate) mod calls;
pub(crate) mod contacts;
pub(crate) mod deletions;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod guests;
pub(crate) mod invites;
pub(crate) mod messages;
pub(crate) mod people;
pub(crate) mod removals;
pub(crate) mod retention;
pub(crate) mod rooms;
pub(crate) mod sessions;
pub(crate) mod shares;
#[cfg(test)]
mod tests;
pub(crate) mod users;

use aura_store::StoreError;
use sqlx::migrate::Migrator;

/// The schema's migrations, embedded.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/dashboard");

type Result<T> = std::result::Result<T, StoreError>;
