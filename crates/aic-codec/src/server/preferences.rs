//! What a user wants, when a stream opens: their row, remembered for a moment, or the service's defaults.
//!
//! A stream must not wait for a database that is away: after a short while it starts with what was last known.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aura_store::{Database, StoreError};
use aura_types::{SharedClock, UserId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::engine::preference::{Change, OutOfRange, Preference};
use super::store::configs;

const FRESH: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_millis(500);
const MAX_KNOWN: usize = 10_000;

/// Reads and changes preferences; clones share what they know.
#[derive(Clone)]
pub(crate) struct Preferences {
    db: Database,
    clock: SharedClock,
    defaults: Preference,
    known: Arc<Mutex<HashMap<Uuid, (Instant, Preference)>>>,
}

/// A change that was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Preferences {
    pub(crate) fn new(db: Database, clock: SharedClock, defaults: Preference) -> Self {
        Self { db, clock, defaults, known: Arc::default() }
    }

    /// For a stream: soon, whatever the database does. The nil user has the defaults.
    pub(crate) async fn of(&self, user: Uuid) -> Preference {
        if user.is_nil() {
            return self.defaults;
        }
        let now = self.clock.monotonic();
        let known = self.lock().get(&user).copied();
        if let Some((at, preference)) = known
            && now.saturating_duration_since(at) < FRESH
        {
            return preference;
        }
        match tokio::time::timeout(PATIENCE, self.read(user)).await {
            Ok(Ok((preference, _))) => preference,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a stream starts with what was last known of its user");
                known.map_or(self.defaults, |(_, preference)| preference)
            }
            Err(_) => known.map_or(self.defaults, |(_, preference)| preference),
        }
    }

    /// As stored, and since when; the defaults when nothing is.
    pub(crate) async fn read(&self, user: Uuid) -> Result<(Preference, Option<OffsetDateTime>), StoreError> {
        let mut tx = self.db.tenant(UserId::from_uuid(user)).await?;
        let row = configs::find(&mut tx, user, false).await?;
        tx.commit().await?;
        let preference = row.map_or(self.defaults, |(preference, _)| preference);
        self.remember(user, preference);
        Ok((preference, row.map(|(_, at)| at)))
    }

    /// Applies `change` to what is stored, or to the defaults.
    pub(crate) async fn change(
        &self,
        user: Uuid,
        change: &Change,
    ) -> Result<(Preference, OffsetDateTime), ChangeError> {
        // Refused before the database is asked, and checked again on what is there.
        self.defaults.with(change)?;
        let mut tx = self.db.tenant(UserId::from_uuid(user)).await?;
        let old = configs::find(&mut tx, user, true).await?;
        let next = old.map_or(self.defaults, |(preference, _)| preference).with(change)?;
        let now = self.clock.now();
        // What a reply shows is what later reads show.
        let now = now.replace_nanosecond(now.nanosecond() / 1_000 * 1_000).unwrap_or(now);
        configs::put(&mut tx, user, &next, now).await?;
        tx.commit().await?;
        self.remember(user, next);
        Ok((next, now))
    }

    fn remember(&self, user: Uuid, preference: Preference) {
        let now = self.clock.monotonic();
        let mut known = self.lock();
        if known.len() >= MAX_KNOWN && !known.contains_key(&user) {
            known.retain(|_, (at, _)| now.saturating_duration_since(*at) < FRESH);
            if known.len() >= MAX_KNOWN {
                return;
            }
        }
        known.insert(user, (now, preference));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, (Instant, Preference)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
