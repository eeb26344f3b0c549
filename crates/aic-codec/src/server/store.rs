//! What the service keeps: configurations, sessions, measurements, alerts.
//!
//! Users read through `Database::tenant`; measurements of many users are written together through
//! `Database::system`. Nothing on the audio path waits for any of this.

pub(crate) mod alerts;
pub(crate) mod configs;
pub(crate) mod performance;
pub(crate) mod reports;
pub(crate) mod sessions;
pub(crate) mod upkeep;
pub(crate) mod usage_row;

use aura_store::StoreError;
use sqlx::migrate::Migrator;

/// The schema's migrations, embedded.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/aic");

type Result<T> = std::result::Result<T, StoreError>;

/// PostgreSQL has no unsigned integers.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
