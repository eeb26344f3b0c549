//! What handlers work with. Cheap to clone; every part is shared.

use crate::accounts::{Accounts, Passwords};
use crate::aic::Aic;
use crate::calls::Calls;
use crate::files::FileStore;
use crate::notify::Notifier;
use crate::removals::Removals;
use crate::sfu::{JoinTokens, Sfu};
use crate::site::Site;
use crate::throttle::Throttle;
use crate::ws::{Hub, WebSocketConfig};
use aura_service::auth::user::UserKeys;
use aura_store::Database;
use aura_types::SharedClock;
use axum::extract::FromRef;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

#[derive(Clone, FromRef)]
pub(crate) struct App {
    pub(crate) db: Database,
    pub(crate) clock: SharedClock,
    pub(crate) keys: Arc<UserKeys>,
    pub(crate) accounts: Accounts,
    pub(crate) passwords: Passwords,
    pub(crate) calls: Calls,
    pub(crate) sfu: Sfu,
    pub(crate) removals: Removals,
    pub(crate) aic: Aic,
    pub(crate) joins: JoinTokens,
    pub(crate) files: FileStore,
    pub(crate) hub: Hub,
    pub(crate) websocket: WebSocketConfig,
    pub(crate) notifier: Notifier,
    pub(crate) throttle: Throttle,
    pub(crate) site: Arc<Site>,
    /// The service is going down: long conversations end.
    pub(crate) stopping: CancellationToken,
}

impl App {
    pub(crate) fn now(&self) -> OffsetDateTime {
        now(&self.clock)
    }

    /// How long it is until then; nothing when that has passed.
    pub(crate) fn until(&self, then: OffsetDateTime) -> std::time::Duration {
        (then - self.now()).try_into().unwrap_or_default()
    }
}

/// The time, as precise as the database keeps it: what a reply shows is what later reads show.
pub(crate) fn now(clock: &SharedClock) -> OffsetDateTime {
    let now = clock.now();
    now.replace_nanosecond(now.nanosecond() / 1_000 * 1_000).expect("fewer nanoseconds are still in range")
}
