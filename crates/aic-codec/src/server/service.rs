//! What every operation works with. Cheap to clone; every part is shared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aura_service::{Lifecycle, ServiceError};
use aura_store::Database;
use aura_types::{ErrorCode, SharedClock};
use time::OffsetDateTime;

use super::engine::preference::Preference;
use super::engine::seal::Seal;
use super::pool::{Pool, PoolError};
use super::preferences::Preferences;
use super::recorder::Recorder;
use super::registry::{LimitError, Registry};
use crate::Model;

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) model: Model,
    pub(crate) pool: Pool,
    pub(crate) registry: Registry,
    pub(crate) preferences: Preferences,
    pub(crate) recorder: Recorder,
    pub(crate) seal: Seal,
    pub(crate) db: Database,
    pub(crate) clock: SharedClock,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) instance: String,
    /// AIC is switched on for this service; off wins over every user's wish.
    pub(crate) enabled: bool,
    pub(crate) defaults: Preference,
    pub(crate) unary_ms: u32,
    pub(crate) idle: Duration,
    pub(crate) flush_every: Duration,
    pub(crate) started_at: OffsetDateTime,
    pub(crate) load: Load,
}

/// Share of codec thread time in use, 0..1, as last measured.
#[derive(Default)]
pub(crate) struct Load(AtomicU64);

impl Load {
    pub(crate) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, share: f64) {
        self.0.store(share.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }
}

impl std::ops::Deref for Service {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Inner {
    pub(crate) fn refuse_while_draining(&self) -> Result<(), ServiceError> {
        if self.lifecycle.is_draining() {
            return Err(ServiceError::unavailable("this replica is going down"));
        }
        Ok(())
    }
}

impl From<PoolError> for ServiceError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Full => Self::new(ErrorCode::ResourceExhausted, error.to_string())
                .with_retry_after(Duration::from_secs(1)),
            PoolError::Stopped => Self::unavailable(error.to_string()),
            PoolError::Panicked => Self::internal(error),
        }
    }
}

impl From<LimitError> for ServiceError {
    fn from(error: LimitError) -> Self {
        let code = match error {
            LimitError::Replayed | LimitError::Known => ErrorCode::AlreadyExists,
            _ => ErrorCode::ResourceExhausted,
        };
        Self::new(code, error.to_string())
    }
}
