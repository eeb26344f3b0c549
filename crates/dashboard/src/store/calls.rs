//! Calls: the state machine's rows. Reading for change locks the row, so facts, timers and commands take turns.

use super::Result;
use super::people::PersonRow;
use crate::engine::call::{Call, Presence, Status, Timings};
use crate::engine::page::{Cursor, Window};
use aura_types::{CallId, UserId};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Row as _};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A call with its media kind and both people, as its parties see it.
#[derive(Debug, Clone)]
pub(crate) struct CallRow {
    pub(crate) call: Call,
    pub(crate) media: String,
    pub(crate) caller: PersonRow,
    pub(crate) callee: PersonRow,
}

impl CallRow {
    pub(crate) fn position(&self) -> Cursor {
        Cursor { created_at: self.call.created_at, id: self.call.id.uuid() }
    }
}

struct StateRow(Call);

impl FromRow<'_, PgRow> for StateRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let status: String = row.try_get("status")?;
        let status = Status::parse(&status)
            .ok_or_else(|| sqlx::Error::Decode(format!("unknown call status {status:?}").into()))?;
        Ok(Self(Call {
            id: CallId::from_uuid(row.try_get("id")?),
            caller: UserId::from_uuid(row.try_get("caller_id")?),
            callee: UserId::from_uuid(row.try_get("callee_id")?),
            status,
            ring_timeout: Duration::seconds(i64::from(row.try_get::<i32, _>("ring_timeout_s")?)),
            created_at: row.try_get("created_at")?,
            ringing_at: row.try_get("ringing_at")?,
            accepted_at: row.try_get("accepted_at")?,
            answered_at: row.try_get("answered_at")?,
            ended_at: row.try_get("ended_at")?,
            end_reason: row.try_get("end_reason")?,
            hangup_at: row.try_get("hangup_at")?,
            caller_presence: Presence::from_columns(
                row.try_get("caller_session")?,
                row.try_get("caller_left_at")?,
            ),
            callee_presence: Presence::from_columns(
                row.try_get("callee_session")?,
                row.try_get("callee_left_at")?,
            ),
        }))
    }
}

impl FromRow<'_, PgRow> for CallRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let StateRow(call) = StateRow::from_row(row)?;
        Ok(Self {
            media: row.try_get("media")?,
            caller: PersonRow {
                user_id: call.caller.uuid(),
                display_name: row.try_get("caller_name")?,
                aura_id: row.try_get("caller_aura_id")?,
            },
            callee: PersonRow {
                user_id: call.callee.uuid(),
                display_name: row.try_get("callee_name")?,
                aura_id: row.try_get("callee_aura_id")?,
            },
            call,
        })
    }
}

pub(crate) async fn insert(tx: &mut PgConnection, call: &Call, media: &str, timings: &Timings) -> Result<()> {
    sqlx::query(
        "INSERT INTO calls (id, caller_id, callee_id, media, status, ring_timeout_s, created_at, next_deadline_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(call.id.uuid())
    .bind(call.caller.uuid())
    .bind(call.callee.uuid())
    .bind(media)
    .bind(call.status.as_str())
    .bind(i32::try_from(call.ring_timeout.whole_seconds()).unwrap_or(i32::MAX))
    .bind(call.created_at)
    .bind(call.next_deadline(timings))
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn find(tx: &mut PgConnection, id: CallId) -> Result<Option<CallRow>> {
    Ok(sqlx::query_as(
        "SELECT c.*, a.display_name AS caller_name, a.aura_id AS caller_aura_id,
                b.display_name AS callee_name, b.aura_id AS callee_aura_id
         FROM calls c
         JOIN aura_id_registry a ON a.user_id = c.caller_id
         JOIN aura_id_registry b ON b.user_id = c.callee_id
         WHERE c.id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(tx)
    .await?)
}

pub(crate) async fn list(tx: &mut PgConnection, user: UserId, window: &Window) -> Result<Vec<CallRow>> {
    Ok(sqlx::query_as(
        "SELECT c.*, a.display_name AS caller_name, a.aura_id AS caller_aura_id,
                b.display_name AS callee_name, b.aura_id AS callee_aura_id
         FROM ((SELECT * FROM calls WHERE caller_id = $1 AND (created_at, id) < ($2, $3)
                ORDER BY created_at DESC, id DESC LIMIT $4)
               UNION ALL
               (SELECT * FROM calls WHERE callee_id = $1 AND (created_at, id) < ($2, $3)
                ORDER BY created_at DESC, id DESC LIMIT $4)) c
         JOIN aura_id_registry a ON a.user_id = c.caller_id
         JOIN aura_id_registry b ON b.user_id = c.callee_id
         ORDER BY c.created_at DESC, c.id DESC LIMIT $4",
    )
    .bind(user.uuid())
    .bind(window.after.created_at)
    .bind(window.after.id)
    .bind(window.fetch())
    .fetch_all(tx)
    .await?)
}

/// Reads a call's state and locks it until the transaction ends.
pub(crate) async fn lock(tx: &mut PgConnection, id: CallId) -> Result<Option<Call>> {
    let row: Option<StateRow> = sqlx::query_as("SELECT * FROM calls WHERE id = $1 FOR UPDATE")
        .bind(id.uuid())
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|StateRow(call)| call))
}

/// Writes the state back, with the deadline that follows from it.
pub(crate) async fn save(tx: &mut PgConnection, call: &Call, timings: &Timings) -> Result<()> {
    let (caller_session, caller_left_at) = call.caller_presence.columns();
    let (callee_session, callee_left_at) = call.callee_presence.columns();
    sqlx::query(
        "UPDATE calls SET status = $2, ringing_at = $3, accepted_at = $4, answered_at = $5, ended_at = $6,
             end_reason = $7, hangup_at = $8, caller_session = $9, caller_left_at = $10, callee_session = $11,
             callee_left_at = $12, next_deadline_at = $13
         WHERE id = $1",
    )
    .bind(call.id.uuid())
    .bind(call.status.as_str())
    .bind(call.ringing_at)
    .bind(call.accepted_at)
    .bind(call.answered_at)
    .bind(call.ended_at)
    .bind(&call.end_reason)
    .bind(call.hangup_at)
    .bind(caller_session)
    .bind(caller_left_at)
    .bind(callee_session)
    .bind(callee_left_at)
    .bind(call.next_deadline(timings))
    .execute(tx)
    .await?;
    Ok(())
}

/// Every call that is not over. System role.
pub(crate) async fn open(tx: &mut PgConnection) -> Result<Vec<CallId>> {
    let rows: Vec<(Uuid,)> =
        sqlx::query_as("SELECT id FROM calls WHERE ended_at IS NULL ORDER BY created_at")
            .fetch_all(tx)
            .await?;
    Ok(rows.into_iter().map(|(id,)| CallId::from_uuid(id)).collect())
}

/// Calls whose deadline passed. System role.
pub(crate) async fn due(tx: &mut PgConnection, now: OffsetDateTime) -> Result<Vec<CallId>> {
    let rows: Vec<(Uuid,)> = sqlx::query_as(
        "SELECT id FROM calls WHERE ended_at IS NULL AND next_deadline_at <= $1 ORDER BY next_deadline_at LIMIT 100",
    )
    .bind(now)
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|(id,)| CallId::from_uuid(id)).collect())
}

/// When the next call wants attention. System role.
pub(crate) async fn next_deadline(tx: &mut PgConnection) -> Result<Option<OffsetDateTime>> {
    let (at,): (Option<OffsetDateTime>,) =
        sqlx::query_as("SELECT min(next_deadline_at) FROM calls WHERE ended_at IS NULL")
            .fetch_one(tx)
            .await?;
    Ok(at)
}

/// Open calls this user placed, to bound how many one may start.
pub(crate) async fn count_open_placed(tx: &mut PgConnection, caller: UserId) -> Result<i64> {
    let (count,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM calls WHERE caller_id = $1 AND ended_at IS NULL")
            .bind(caller.uuid())
            .fetch_one(tx)
            .await?;
    Ok(count)
}
