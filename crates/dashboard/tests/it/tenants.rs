//! Two tenants on one connection: nothing of one is left for the other, whatever happens to a transaction.

use crate::client::Person;
use crate::stack::{Options, Stack};
use aura_store::{Database, DatabaseOptions};
use aura_types::UserId;
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;

fn pool_of_one(stack: &Stack) -> Database {
    let url = stack.database.login_url("dashboard");
    let options = DatabaseOptions {
        max_connections: 1,
        system_connections: 1,
        ..DatabaseOptions::for_service("dashboard", &url)
    };
    Database::new(options).unwrap()
}

fn id(person: &Person) -> UserId {
    person.id.parse().unwrap()
}

async fn rooms_seen(db: &Database, user: UserId) -> i64 {
    let mut tx = db.tenant(user).await.unwrap();
    let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM rooms").fetch_one(&mut *tx).await.unwrap();
    count
}

#[tokio::test]
async fn one_connection_serves_two_tenants_and_never_mixes_them() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    alice.room().await;
    let db = pool_of_one(&stack);
    for _ in 0..20 {
        assert_eq!((rooms_seen(&db, id(&alice)).await, rooms_seen(&db, id(&bob)).await), (1, 0));
        // A request that is dropped in the middle of a statement.
        let cancelled = async {
            let mut tx = db.tenant(id(&alice)).await.unwrap();
            sqlx::query("SELECT pg_sleep(0.1)").execute(&mut *tx).await
        };
        assert!(tokio::time::timeout(Duration::from_millis(5), cancelled).await.is_err());
        // A transaction that fails.
        let mut tx = db.tenant(id(&alice)).await.unwrap();
        assert!(sqlx::query("SELECT 1 / 0").execute(&mut *tx).await.is_err());
        drop(tx);
        assert_eq!(rooms_seen(&db, id(&bob)).await, 0);
    }
    // The system role and its connection know no tenant at all.
    let mut tx = db.system().await.unwrap();
    let (tenant,): (Option<uuid::Uuid>,) =
        sqlx::query_as("SELECT dashboard.current_user_id()").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(tenant, None);
}

#[tokio::test]
async fn a_tenant_cannot_write_for_another() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room().await;
    let db = pool_of_one(&stack);
    for sql in [
        format!("INSERT INTO rooms (id, owner_id, name, guests_allowed, created_at, updated_at)
                 VALUES (gen_random_uuid(), '{}', 'x', true, now(), now())", alice.id),
        format!("INSERT INTO contacts VALUES ('{}', '{}', now())", alice.id, bob.id),
        format!("INSERT INTO room_members VALUES ('{}', '{room}', '{}', now())", alice.id, bob.id),
        format!("INSERT INTO messages (owner_id, room_id, id, sender_id, sender_identity, sender_name, text, created_at)
                 VALUES ('{}', '{room}', gen_random_uuid(), '{}', 'x', 'x', 'x', now())", alice.id, bob.id),
        format!("INSERT INTO room_invites (owner_id, room_id, id, token_hash, created_at)
                 VALUES ('{}', '{room}', gen_random_uuid(), decode(repeat('00', 32), 'hex'), now())", bob.id),
        "SELECT password_hash FROM users".to_owned(),
        "SELECT * FROM refresh_tokens".to_owned(),
        "TRUNCATE rooms CASCADE".to_owned(),
        "SET ROLE dashboard_owner".to_owned(),
    ] {
        let mut tx = db.tenant(id(&bob)).await.unwrap();
        let refused = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(&mut *tx).await;
        assert!(refused.is_err(), "{sql}");
    }
    for sql in [
        "UPDATE rooms SET name = 'mine'",
        "DELETE FROM rooms",
        "UPDATE users SET display_name = 'x' WHERE id <> dashboard.current_user_id()",
    ] {
        let mut tx = db.tenant(id(&bob)).await.unwrap();
        let done = sqlx::query(sql).execute(&mut *tx).await.unwrap();
        assert_eq!(done.rows_affected(), 0, "{sql}");
    }
    assert_eq!(alice.get(&format!("/rooms/{room}")).await.expect(200)["name"], json!("Standup"));
}

#[tokio::test]
async fn a_whole_service_on_one_connection_keeps_people_apart() {
    let options = Options::default()
        .set("AURA_DASHBOARD__DATABASE__MAX_CONNECTIONS", 1)
        .set("AURA_DASHBOARD__DATABASE__SYSTEM_CONNECTIONS", 1);
    let stack = Stack::with(options).await;
    let people = join_all(["Alice", "Bob", "Carol"].map(|name| stack.person(name))).await;
    join_all(people.iter().map(|person| person.room_with(json!({"name": person.id})))).await;
    let reads = people.iter().flat_map(|person| std::iter::repeat_n(person, 15));
    join_all(reads.map(|person| async move {
        let rooms = person.get("/rooms").await.expect(200);
        let names: Vec<_> =
            rooms["items"].as_array().unwrap().iter().map(|room| room["name"].clone()).collect();
        assert_eq!(names, [json!(person.id)]);
    }))
    .await;
}

/// Log lines about denials, of every test of this process.
static DENIALS: std::sync::Mutex<Vec<u8>> = std::sync::Mutex::new(Vec::new());

struct Denials;

impl std::io::Write for Denials {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        if String::from_utf8_lossy(line).contains("denied") {
            DENIALS.lock().unwrap().extend(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_the_database_denies_is_an_alarm() {
    let log = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::INFO)
        .with_writer(|| Denials)
        .finish();
    tracing::subscriber::set_global_default(log).expect("no other test listens to the log");
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let room = alice.room().await;
    // As if a migration had forgotten a grant, or a handler to check.
    let mut db = stack.database.superuser().await;
    sqlx::query("REVOKE INSERT ON dashboard.messages FROM dashboard_app").execute(&mut db).await.unwrap();
    let message = json!({"id": uuid::Uuid::new_v4(), "text": "hi"});
    alice.post(&format!("/rooms/{room}/messages"), message).await.problem(403, "permission_denied", "");

    let lines = String::from_utf8(DENIALS.lock().unwrap().clone()).unwrap();
    let line = lines.lines().find(|line| line.contains(&alice.id)).expect("a line names the user");
    for part in ["\"level\":\"ERROR\"", "/api/v1/rooms/{room_id}/messages", "\"db.table\":\"messages\""] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let metrics = reqwest::get(format!("http://{}/metrics", stack.addresses.admin)).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("auralink_database_denied_total{table=\"messages\"}"), "{metrics}");
}
