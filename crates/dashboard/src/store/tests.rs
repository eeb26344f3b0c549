//! Statements against a real PostgreSQL, where requests alone would not show what they do.

use super::*;
use crate::engine::page::{Cursor, Window};
use aura_store::{Database, DatabaseOptions};
use aura_testkit::{Postgres, TestDatabase};
use aura_types::{InviteId, RoomId, ShareId, SystemClock, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

async fn database() -> (TestDatabase, Database) {
    let test = Postgres::shared().database().await;
    test.migrate("dashboard", &MIGRATOR).await;
    let db = Database::new(DatabaseOptions::for_service("dashboard", &test.login_url("dashboard"))).unwrap();
    (test, db)
}

#[tokio::test]
async fn a_deletion_reopened_while_it_is_carried_out_is_not_done() {
    let (_test, db) = database().await;
    let (user, now) = (UserId::generate(), SystemClock::shared().now());
    let mut tx = db.tenant(user).await.unwrap();
    deletions::request(&mut tx, "room", user, now).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = db.system().await.unwrap();
    let begun = deletions::generation(&mut tx, "room").await.unwrap().unwrap();
    // The SFU is told to end the room; somebody enters it again right after; only then the answer arrives.
    assert_eq!(deletions::reopen(&mut tx, &["room".to_owned(), "other".to_owned()]).await.unwrap(), 1);
    assert!(!deletions::mark_done(&mut tx, "room", begun, now).await.unwrap());
    assert_eq!(deletions::open(&mut tx, 10).await.unwrap(), ["room"]);

    let again = deletions::generation(&mut tx, "room").await.unwrap().unwrap();
    assert!(deletions::mark_done(&mut tx, "room", again, now).await.unwrap());
    assert!(deletions::open(&mut tx, 10).await.unwrap().is_empty());
    assert_eq!(deletions::generation(&mut tx, "other").await.unwrap(), None);
}

/// Thousands of other people's things, and one of each of Alice's.
const CROWD: &str = "
    CREATE TEMP TABLE people AS SELECT n, gen_random_uuid() AS id FROM generate_series(1, 200) n;
    INSERT INTO people VALUES (0, '00000000-0000-0000-0000-00000000000a');
    INSERT INTO dashboard.users (id, email, password_hash, display_name, aura_id, created_at, updated_at)
        SELECT id, n || '@example.org', 'x', 'Person ' || n, '@p' || n || '.aura', now(), now() FROM people;
    INSERT INTO dashboard.aura_id_registry (aura_id, user_id, display_name, created_at)
        SELECT '@p' || n || '.aura', id, 'Person ' || n, now() FROM people;
    CREATE TEMP TABLE things AS
        SELECT g.n, p.id AS owner, q.id AS other, gen_random_uuid() AS id FROM generate_series(1, 4000) AS g (n)
        JOIN people p ON p.n = 1 + g.n % 200 JOIN people q ON q.n = 1 + (g.n + 7) % 200;
    INSERT INTO things SELECT 0, p.id, q.id, '00000000-0000-0000-0000-00000000000b' FROM people p, people q
        WHERE p.n = 0 AND q.n = 1;
    INSERT INTO dashboard.rooms (id, owner_id, name, guests_allowed, created_at, updated_at)
        SELECT id, owner, 'x', true, now() - n * interval '1 s', now() FROM things;
    INSERT INTO dashboard.room_members SELECT owner, id, other, now() FROM things;
    INSERT INTO dashboard.room_invites (owner_id, room_id, id, token_hash, created_at)
        SELECT owner, id, id, sha256(id::text::bytea), now() FROM things;
    INSERT INTO dashboard.calls (id, caller_id, callee_id, media, status, ring_timeout_s, created_at, ended_at)
        SELECT id, owner, other, 'audio', 'missed', 30, now() - n * interval '1 s', now() FROM things;
    INSERT INTO dashboard.files
        SELECT owner, id, id, owner, 'x', 'x', 1, 'x', sha256(id::text::bytea), 'x', now() - n * interval '1 s' FROM things;
    INSERT INTO dashboard.share_links (owner_id, file_id, id, created_by, token_hash, created_at)
        SELECT owner, id, id, owner, sha256(id::text::bytea), now() FROM things;
    INSERT INTO dashboard.messages
        SELECT owner, id, id, owner, 'x', 'x', 'x', now() - n * interval '1 s' FROM things;
    ANALYZE";

/// Tables this transaction read from end to end, though they are large.
async fn scanned(tx: &mut PgConnection) -> Vec<(String, i64)> {
    sqlx::query_as(
        "SELECT relname::text, seq_tup_read FROM pg_stat_xact_user_tables
         WHERE schemaname = 'dashboard' AND seq_tup_read > 1000",
    )
    .fetch_all(tx)
    .await
    .unwrap()
}

#[tokio::test]
async fn what_people_ask_for_reads_their_rows_and_not_everybodys() {
    let (test, db) = database().await;
    sqlx::raw_sql(CROWD).execute(&mut test.superuser().await).await.unwrap();
    let (alice, thing, now) =
        (UserId::from_uuid(Uuid::from_u128(10)), Uuid::from_u128(11), SystemClock::shared().now());
    let (room, hash) = (RoomId::from_uuid(thing), crate::secret::token_hash(&thing.to_string()));
    let window = Window { after: Cursor::START, limit: 50 };

    // Each in a transaction of its own, which counts what it reads.
    macro_rules! reads_little {
        ($tx:ident = $begin:expr => $what:literal, $statement:expr) => {{
            let mut $tx = $begin.await.unwrap();
            let answer = $statement.await.unwrap();
            let scanned = scanned(&mut $tx).await;
            assert!(scanned.is_empty(), "{} reads {scanned:?}", $what);
            answer
        }};
    }
    let rooms =
        reads_little!(tx = db.tenant(alice) => "a list of rooms", rooms::list(&mut tx, alice, &window));
    assert_eq!(rooms.iter().map(|room| room.id).collect::<Vec<_>>(), [thing]);
    let audience = reads_little!(tx = db.system() => "an audience", rooms::audience(&mut tx, room));
    assert_eq!(audience.len(), 2);
    let calls =
        reads_little!(tx = db.tenant(alice) => "a list of calls", calls::list(&mut tx, alice, &window));
    assert_eq!(calls.len(), 1);
    reads_little!(tx = db.system() => "open calls", calls::open(&mut tx));
    let invites =
        reads_little!(tx = db.tenant(alice) => "invites", invites::list(&mut tx, alice, room, &window));
    assert_eq!(invites.len(), 1);
    let id = InviteId::from_uuid(thing);
    assert!(
        reads_little!(tx = db.tenant(alice) => "revoking an invite", invites::revoke(&mut tx, alice, room, id, now))
    );
    let invite = reads_little!(tx = db.system() => "an invite", invites::lock(&mut tx, &hash)).unwrap();
    reads_little!(tx = db.system() => "counting a use", invites::count_use(&mut tx, &invite));
    let usage = reads_little!(tx = db.system() => "usage", files::usage(&mut tx, alice, Some(room)));
    assert_eq!((usage.owner_bytes, usage.room_bytes), (4096, Some(4096)));
    let own = reads_little!(tx = db.tenant(alice) => "own files", files::list_uploaded(&mut tx, alice, true, &window));
    let file = &own[0];
    let shares = reads_little!(tx = db.tenant(alice) => "shares", shares::list(&mut tx, file, &window));
    assert_eq!(shares.len(), 1);
    let id = ShareId::from_uuid(thing);
    assert!(
        reads_little!(tx = db.tenant(alice) => "revoking a share", shares::revoke(&mut tx, file, id, now))
    );
    let share = reads_little!(tx = db.system() => "a share", shares::find(&mut tx, &hash)).unwrap();
    assert!(reads_little!(tx = db.system() => "a download", shares::count_download(&mut tx, &share, now)));
    let said = reads_little!(tx = db.tenant(alice) => "messages", messages::list(&mut tx, room, &window));
    assert_eq!(said.len(), 1);
}
