//! Removals at work: what the database says about who was sent away is what the SFU refuses.
//!
//! The SFU forgets when it stops, and may be away when somebody is removed. So it is told at once, again whenever it may
//! have forgotten, and when somebody who is removed comes in all the same. Only as long as a token from before could
//! still be good: for who is removed, none is signed.
//!
//! Removing, letting back in and telling again happen at the same time, here and in other instances, and no lock is held
//! while the SFU is spoken to. What was told is therefore compared with the database once more after it was told, and told
//! anew if it holds no longer: whoever speaks last has seen the truth afterwards.

use crate::sfu::{Sfu, token_holder};
use crate::store::removals;
use aura_service::error::Result;
use aura_store::Database;
use aura_types::{RoomId, SharedClock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long the SFU's renewed tokens live, and what clocks may differ by, on both sides.
const RENEWED_AND_LEEWAY: time::Duration = time::Duration::minutes(12);
/// Names of one request to the SFU.
const PER_REQUEST: usize = 1_000;
/// Who is remembered while the SFU is away; of more, the removed are told all the same.
const MAX_WAITING: usize = 10_000;
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
    /// Who could not be told about, removed or let back in since.
    waiting: Mutex<BTreeSet<(Uuid, String)>>,
}

impl Removals {
    /// `join_ttl` is how long our own tokens live.
    pub(crate) fn new(db: Database, sfu: Sfu, clock: SharedClock, join_ttl: time::Duration) -> Self {
        let tokens_live = join_ttl + RENEWED_AND_LEEWAY;
        Self(Arc::new(Inner {
            db,
            sfu,
            clock,
            tokens_live,
            wanted: Notify::new(),
            waiting: Mutex::default(),
        }))
    }

    /// Somebody was removed or let back in, and that is committed: has the SFU refuse, or admit, their tokens. Later, if
    /// the SFU is away.
    pub(crate) async fn changed(&self, room: RoomId, identity: &str) {
        if let Err(error) = self.settle(room, &[identity.to_owned()]).await {
            tracing::info!(%error, room.id = %room, "a removal, or its end, waits for the media server");
            let mut waiting = self.waiting();
            if waiting.len() < MAX_WAITING {
                waiting.insert((room.uuid(), identity.to_owned()));
            }
            drop(waiting);
            self.request();
        }
    }

    /// The SFU reports somebody in a room. Who is removed leaves again: the SFU has forgotten.
    pub(crate) async fn entered(&self, room: RoomId, identity: &str) -> Result<()> {
        let identity = token_holder(identity);
        if !self.removed(room, &[identity.to_owned()]).await?.is_empty() {
            self.changed(room, identity).await;
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
        let mut tx = self.0.db.system().await?;
        let removed = removals::since(&mut tx, crate::now(&self.0.clock) - self.0.tokens_live).await?;
        tx.rollback().await?;
        let waiting = self.waiting().clone();
        let mut rooms: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (room, identity) in waiting.iter().cloned().chain(removed).collect::<BTreeSet<_>>() {
            rooms.entry(room).or_default().push(identity);
        }
        for (room, identities) in rooms {
            for part in identities.chunks(PER_REQUEST) {
                self.settle(RoomId::from_uuid(room), part).await?;
            }
        }
        self.waiting().retain(|one| !waiting.contains(one));
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<(Uuid, String)>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the SFU who of these is removed and who is not, until what was told still holds afterwards.
    async fn settle(&self, room: RoomId, identities: &[String]) -> Result<()> {
        let mut unsettled = identities.to_vec();
        let mut removed = self.removed(room, &unsettled).await?;
        while !unsettled.is_empty() {
            self.tell(room, &unsettled, &removed).await?;
            let now = self.removed(room, &unsettled).await?;
            unsettled.retain(|identity| now.contains(identity) != removed.contains(identity));
            removed = now;
        }
        Ok(())
    }

    async fn tell(&self, room: RoomId, identities: &[String], removed: &BTreeSet<String>) -> Result<()> {
        let name = room.to_string();
        let (out, back): (Vec<_>, Vec<_>) =
            identities.iter().cloned().partition(|identity| removed.contains(identity));
        if !out.is_empty() {
            self.0.sfu.refuse(&name, out, crate::now(&self.0.clock).unix_timestamp()).await?;
        }
        for identity in back {
            self.0.sfu.admit(&name, &identity).await?;
        }
        Ok(())
    }

    /// Who of these is removed. No connection is kept.
    async fn removed(&self, room: RoomId, identities: &[String]) -> Result<BTreeSet<String>> {
        let mut tx = self.0.db.system().await?;
        let removed = removals::among(&mut tx, room, identities).await?;
        tx.rollback().await?;
        Ok(removed.into_iter().collect())
    }
}
