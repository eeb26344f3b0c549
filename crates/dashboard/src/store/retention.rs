//! What is forgotten in time, a bounded number of rows at once: a deletion never locks or runs for long, however much
//! has gathered. System role.

use super::Result;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// A kind of row and which of it are too old.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) what: &'static str,
    /// `$1` is the moment before which things are forgotten, `$2` the most to delete.
    sql: &'static str,
}

macro_rules! rule {
    ($what:literal, $table:literal, $where:literal) => {
        Rule {
            what: $what,
            sql: concat!(
                "DELETE FROM ",
                $table,
                " WHERE ctid = ANY (ARRAY (SELECT ctid FROM ",
                $table,
                " WHERE ",
                $where,
                " LIMIT $2))"
            ),
        }
    };
}

/// Logins that can no longer be refreshed, with their tokens.
pub(crate) const LOGINS: Rule = rule!("logins", "refresh_families", "expires_at < $1");
/// Ids of events too old to be delivered again.
pub(crate) const EVENTS: Rule = rule!("event_ids", "processed_events", "processed_at < $1");
/// Tombstones of SFU rooms, older than any join token.
pub(crate) const TOMBSTONES: Rule = rule!("tombstones", "room_deletions", "done_at < $1");
/// Guests whose time ended.
pub(crate) const GUESTS: Rule = rule!("guests", "room_guests", "expires_at < $1");
/// Removals of guests, whose own time ended long before.
pub(crate) const REMOVED_GUESTS: Rule =
    rule!("removed_guests", "room_removals", "identity LIKE 'guest-%' AND removed_at < $1");
pub(crate) const MESSAGES: Rule = rule!("messages", "messages", "created_at < $1");
pub(crate) const CALLS: Rule = rule!("calls", "calls", "ended_at < $1");
/// Links that have not worked since. When a link was used up is not kept: it goes by its making.
pub(crate) const SHARES: Rule = rule!(
    "shares",
    "share_links",
    "revoked_at < $1 OR expires_at < $1 OR (downloads >= max_downloads AND created_at < $1)"
);
pub(crate) const INVITES: Rule = rule!(
    "invites",
    "room_invites",
    "revoked_at < $1 OR expires_at < $1 OR (uses >= max_uses AND created_at < $1)"
);

/// Deletes at most `limit`; returns how many there were.
pub(crate) async fn forget(
    tx: &mut PgConnection,
    rule: Rule,
    before: OffsetDateTime,
    limit: i64,
) -> Result<u64> {
    let done = sqlx::query(rule.sql).bind(before).bind(limit).execute(tx).await?;
    Ok(done.rows_affected())
}
