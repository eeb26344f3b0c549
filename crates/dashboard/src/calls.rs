//! Calls at work: commands, the SFU's facts and timers, each applied to the locked row in one transaction.
//!
//! Postgres holds the truth. What follows from a change (pushes, bus events, ending the SFU room) happens after
//! the commit and may be repeated; what must happen in the end is written in the same transaction (`deletions`).

mod due;
mod reconcile;

use crate::engine::call::{Call, Command, Fact, Party, Presence, Status, Timings};
use crate::notify::Notifier;
use crate::sfu::{LiveParticipant, RoomName, Sfu};
use crate::store::calls::CallRow;
use crate::store::{calls, deletions, events, people, users};
use aura_service::error::{Result, ServiceError};
use aura_store::Database;
use aura_types::{CallId, SharedClock, UserId};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;

/// A caller with more unanswered calls than this is not calling people.
const MAX_OPEN_CALLS: i64 = 5;

#[derive(Clone)]
pub(crate) struct Calls(Arc<Inner>);

struct Inner {
    db: Database,
    sfu: Sfu,
    clock: SharedClock,
    notifier: Notifier,
    timings: Timings,
    ring_timeout: Duration,
    /// A deadline may have moved closer.
    deadline_moved: Notify,
    /// Something asked for the SFU's view: start, a bus reconnect, a room to end.
    reconcile_wanted: Notify,
}

/// Who a call goes to.
#[derive(Debug, Clone)]
pub(crate) enum Callee {
    Id(UserId),
    AuraId(String),
}

/// What the SFU says about a call's room, in its own terms.
#[derive(Debug, Clone)]
pub(crate) enum Report {
    Joined {
        identity: String,
        session: String,
    },
    Left {
        identity: String,
        session: String,
    },
    Ended,
    /// Everyone in the room: (identity, session).
    Present(Vec<(String, String)>),
}

impl Report {
    fn present(everyone: Vec<LiveParticipant>) -> Self {
        let present = everyone.into_iter().filter(|participant| participant.state != "disconnected");
        Self::Present(present.map(|participant| (participant.identity, participant.sid)).collect())
    }

    /// The same in the call's terms; None when it concerns neither party.
    fn fact(&self, call: &Call) -> Option<Fact> {
        let party = |identity: &str| identity.parse().ok().and_then(|user| call.party(user));
        match self {
            Self::Joined { identity, session } => {
                party(identity).map(|party| Fact::Joined { party, session: session.clone() })
            }
            Self::Left { identity, session } => {
                party(identity).map(|party| Fact::Left { party, session: session.clone() })
            }
            Self::Ended => Some(Fact::RoomEnded),
            Self::Present(everyone) => {
                let session = |wanted: Party| {
                    everyone
                        .iter()
                        .find(|(identity, _)| party(identity) == Some(wanted))
                        .map(|(_, sid)| sid.clone())
                };
                Some(Fact::Snapshot { caller: session(Party::Caller), callee: session(Party::Callee) })
            }
        }
    }
}

/// A bus event a report came with: counted once, whoever else has seen it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventRef<'a> {
    pub(crate) id: &'a str,
    pub(crate) event_type: &'a str,
}

impl Calls {
    pub(crate) fn new(
        db: Database,
        sfu: Sfu,
        clock: SharedClock,
        notifier: Notifier,
        timings: Timings,
        ring_timeout: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            db,
            sfu,
            clock,
            notifier,
            timings,
            ring_timeout,
            deadline_moved: Notify::new(),
            reconcile_wanted: Notify::new(),
        }))
    }

    /// Places a call. It rings once the SFU reports the caller in the room.
    pub(crate) async fn place(&self, caller: UserId, callee: Callee, media: &str) -> Result<CallRow> {
        let inner = &*self.0;
        let now = crate::now(&inner.clock);
        let mut tx = inner.db.tenant(caller).await?;
        let person = match &callee {
            Callee::Id(id) => people::find(&mut tx, *id).await,
            Callee::AuraId(aura_id) => people::find_by_aura_id(&mut tx, aura_id).await,
        };
        let callee = UserId::from_uuid(person?.ok_or_else(|| ServiceError::not_found("person"))?.user_id);
        if callee == caller {
            return Err(ServiceError::invalid("callee_id", "must be somebody else"));
        }
        if calls::count_open_placed(&mut tx, caller).await? >= MAX_OPEN_CALLS {
            return Err(ServiceError::new(
                aura_types::ErrorCode::ResourceExhausted,
                "too many calls are open, end one first",
            ));
        }
        tx.rollback().await?;
        let call = Call {
            id: CallId::generate(),
            caller,
            callee,
            status: Status::Initiated,
            ring_timeout: self.ring_timeout_of(callee).await?,
            created_at: now,
            ringing_at: None,
            accepted_at: None,
            answered_at: None,
            ended_at: None,
            end_reason: None,
            hangup_at: None,
            caller_presence: Presence::Never,
            callee_presence: Presence::Never,
        };
        let mut tx = inner.db.tenant(caller).await?;
        calls::insert(&mut tx, &call, media, &inner.timings).await?;
        let row = find(&mut tx, call.id).await?;
        tx.commit().await?;
        inner.deadline_moved.notify_one();
        // From now on the SFU is asked at short intervals.
        inner.reconcile_wanted.notify_one();
        inner.notifier.call_updated(&row);
        Ok(row)
    }

    /// Does what a party asked for. Somebody else's call does not exist.
    pub(crate) async fn command(&self, user: UserId, id: CallId, command: Command) -> Result<CallRow> {
        let inner = &*self.0;
        let now = crate::now(&inner.clock);
        let mut tx = inner.db.tenant(user).await?;
        let mut call = calls::lock(&mut tx, id).await?.ok_or_else(|| ServiceError::not_found("call"))?;
        let party = call.party(user).ok_or_else(|| ServiceError::not_found("call"))?;
        let before = call.clone();
        call.command(command, party, now)?;
        let changed = self.save(&mut tx, &before, &call, user, now).await?;
        let row = find(&mut tx, id).await?;
        tx.commit().await?;
        self.after(changed, &row);
        if command != Command::End || !call.room_must_close() {
            return Ok(row);
        }
        self.close_now(id, row).await
    }

    /// Ends the call's SFU room at once if the SFU is there; otherwise the reconciler will.
    async fn close_now(&self, id: CallId, row: CallRow) -> Result<CallRow> {
        match self.close_room(&RoomName::Call(id).to_string()).await {
            Ok(()) => {
                let mut tx = self.0.db.system().await?;
                let row = find(&mut tx, id).await?;
                tx.rollback().await?;
                Ok(row)
            }
            Err(error) => {
                tracing::info!(call.id = %id, %error, "the call's room stays until the media server is back");
                Ok(row)
            }
        }
    }

    /// Ends an SFU room that a committed row asked to end, and completes the call it carried.
    pub(crate) async fn close_room(&self, livekit_room: &str) -> Result<()> {
        let mut tx = self.0.db.system().await?;
        let generation = deletions::generation(&mut tx, livekit_room).await?;
        tx.rollback().await?;
        self.0.sfu.delete_room(livekit_room).await?;
        if let Some(RoomName::Call(id)) = RoomName::parse(livekit_room) {
            self.observe(id, &Report::Ended, crate::now(&self.0.clock), None).await?;
        }
        let Some(generation) = generation else { return Ok(()) };
        let mut tx = self.0.db.system().await?;
        let now = crate::now(&self.0.clock);
        let done = deletions::mark_done(&mut tx, livekit_room, generation, now).await?;
        tx.commit().await?;
        if !done {
            self.request_reconcile();
        }
        Ok(())
    }

    /// Somebody entered this room: ends it if it was deleted.
    pub(crate) async fn refuse_deleted(&self, livekit_room: &str) -> Result<()> {
        let mut tx = self.0.db.system().await?;
        let reopened = deletions::reopen(&mut tx, &[livekit_room.to_owned()]).await?;
        tx.commit().await?;
        if reopened > 0 {
            self.request_reconcile();
        }
        Ok(())
    }

    /// Applies what the SFU reported at `at`.
    pub(crate) async fn observe(
        &self,
        id: CallId,
        report: &Report,
        at: OffsetDateTime,
        event: Option<EventRef<'_>>,
    ) -> Result<()> {
        let inner = &*self.0;
        let now = crate::now(&inner.clock);
        let mut tx = inner.db.system().await?;
        if let Some(event) = event
            && !events::claim(&mut tx, event.id, event.event_type, now).await?
        {
            return Ok(());
        }
        let Some(mut call) = calls::lock(&mut tx, id).await? else {
            return Ok(tx.commit().await?);
        };
        let Some(fact) = report.fact(&call) else {
            return Ok(tx.commit().await?);
        };
        let before = call.clone();
        let entered = matches!(fact, Fact::Joined { .. });
        // The SFU's clock may differ a little from ours; a fact is never of the future, nor older than the call.
        call.observe(fact, at.clamp(call.created_at.min(now), now));
        let changed = self.save(&mut tx, &before, &call, call.caller, now).await?;
        if entered && before.room_must_close() {
            // Somebody came back with a token from before: the room is over.
            deletions::reopen(&mut tx, &[RoomName::Call(id).to_string()]).await?;
            inner.reconcile_wanted.notify_one();
        }
        let row = find(&mut tx, id).await?;
        tx.commit().await?;
        self.after(changed, &row);
        Ok(())
    }

    /// Ask the SFU soon what is really there.
    pub(crate) fn request_reconcile(&self) {
        self.0.reconcile_wanted.notify_one();
    }

    async fn ring_timeout_of(&self, callee: UserId) -> Result<Duration> {
        let mut tx = self.0.db.system().await?;
        let preferred = users::ring_timeout_s(&mut tx, callee).await?;
        Ok(preferred.map_or(self.0.ring_timeout, |seconds| Duration::seconds(i64::from(seconds))))
    }

    /// Writes a changed call and, when its room must end, asks for that in the same transaction.
    async fn save(
        &self,
        tx: &mut sqlx::PgConnection,
        before: &Call,
        call: &Call,
        by: UserId,
        now: OffsetDateTime,
    ) -> Result<Change> {
        if before == call {
            return Ok(Change::None);
        }
        calls::save(tx, call, &self.0.timings).await?;
        if call.room_must_close() && !before.room_must_close() {
            deletions::request(tx, &RoomName::Call(call.id).to_string(), by, now).await?;
        }
        Ok(if before.status == call.status { Change::Inner } else { Change::Status })
    }

    /// What follows from a committed change. Losing any of it costs time, not truth.
    fn after(&self, change: Change, row: &CallRow) {
        if change == Change::None {
            return;
        }
        self.0.deadline_moved.notify_one();
        if row.call.room_must_close() {
            self.0.reconcile_wanted.notify_one();
        }
        if change == Change::Status {
            count(&row.call);
            self.0.notifier.call_updated(row);
        }
    }
}

fn count(call: &Call) {
    if call.status.is_open() {
        return;
    }
    metrics::counter!("calls_total", "status" => call.status.as_str()).increment(1);
    if let Some(seconds) = call.duration_seconds() {
        metrics::histogram!("call_duration_seconds").record(seconds as f64);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    /// Presence, acceptance, deadlines: nothing a party is shown.
    Inner,
    Status,
}

async fn find(tx: &mut sqlx::PgConnection, id: CallId) -> Result<CallRow> {
    calls::find(tx, id).await?.ok_or_else(|| ServiceError::not_found("call"))
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calls")
    }
}
