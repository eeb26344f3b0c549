//! Removals at work: what the database says about who was sent away is what the SFU refuses.
//!
//! The SFU forgets when it stops, and may be away when somebody is removed. So it is told at once, again whenever it may
//! have forgotten, and when somebody who is removed comes in all the same. Only as long as a token from before could
//! still be good: for who is removed, none is signed.

use crate::sfu::{Sfu, token_holder};
use crate::store::removals;
use aura_service::error::Result;
use aura_store::Database;
use aura_types::{RoomId, SharedClock};
use std::collections::BTreeMap;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long the SFU's renewed tokens live, and what clocks may differ by, on both sides.
const RENEWED_AND_LEEWAY: time::Duration = time::Duration::minutes(12);
/// Names of one request to the SFU.
const PER_REQUEST: usize = 1_000;
/// Between looks when nothing asks for one.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(60);
const RETRY_PAUSE: std::time::Duration = std::time::Duration::from_secs(2);

#[derive(Clone)]
pub(crate) struct Removals(Arc<Inner>);

struct Inner {
    db: Database,
    sfu: Sfu,
    clock: SharedClock,
    /// How long after a removal a token from before may still be good.
    tokens_live: time::Duration,
    wanted: Notify,
}

impl Removals {
    /// `join_ttl` is how long our own tokens live.
    pub(crate) fn new(db: Database, sfu: Sfu, clock: SharedClock, join_ttl: time::Duration) -> Self {
        let tokens_live = join_ttl + RENEWED_AND_LEEWAY;
        Self(Arc::new(Inner { db, sfu, clock, tokens_live, wanted: Notify::new() }))
    }

    /// Somebody was removed: takes them out of the live room and has their tokens refused. Later, if the SFU is away.
    pub(crate) async fn enforce(&self, room: RoomId, identity: &str) {
        let now = crate::now(&self.0.clock).unix_timestamp();
        if let Err(error) = self.0.sfu.refuse(&room.to_string(), vec![identity.to_owned()], now).await {
            tracing::info!(%error, room.id = %room, "a removal waits for the media server");
            self.request();
        }
    }

    /// Somebody was let back in: tokens from before are good again, if there are any.
    pub(crate) async fn lift(&self, room: RoomId, identity: &str) {
        if let Err(error) = self.0.sfu.admit(&room.to_string(), identity).await {
            tracing::info!(%error, room.id = %room, "who was let back in needs a new token");
        }
    }

    /// The SFU reports somebody in a room. Who is removed leaves again: the SFU has forgotten.
    pub(crate) async fn entered(&self, room: RoomId, identity: &str) -> Result<()> {
        let identity = token_holder(identity);
        let mut tx = self.0.db.system().await?;
        let removed = removals::is_removed(&mut tx, room, identity).await?;
        tx.rollback().await?;
        if removed {
            self.enforce(room, identity).await;
            self.request();
        }
        Ok(())
    }

    /// Tell the SFU again soon: it may have forgotten.
    pub(crate) fn request(&self) {
        self.0.wanted.notify_one();
    }

    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            let pause = match self.tell_everything().await {
                Ok(()) => PAUSE,
                Err(error) => {
                    tracing::info!(%error, "removals will be told again");
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.0.wanted.notified() => {}
            }
        }
    }

    async fn tell_everything(&self) -> Result<()> {
        let now: OffsetDateTime = crate::now(&self.0.clock);
        let mut tx = self.0.db.system().await?;
        let removed = removals::since(&mut tx, now - self.0.tokens_live).await?;
        tx.rollback().await?;
        let mut rooms: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (room, identity) in removed {
            rooms.entry(room).or_default().push(identity);
        }
        for (room, identities) in rooms {
            for part in identities.chunks(PER_REQUEST) {
                self.0.sfu.refuse(&room.to_string(), part.to_vec(), now.unix_timestamp()).await?;
            }
        }
        Ok(())
    }
}
