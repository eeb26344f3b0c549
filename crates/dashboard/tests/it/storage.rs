//! What is stored: how much of it, how long, and what becomes of it when an answer is lost.

use crate::client::{Answer, Client, Person};
use crate::stack::{Options, Stack, migrated};
use aura_service::Lifecycle;
use aura_testkit::{Postgres, eventually};
use aura_types::ManualClock;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn limited(user_bytes: u64, room_bytes: u64) -> Options {
    Options::default()
        .set("AURA_DASHBOARD__FILES__USER_BYTES", user_bytes)
        .set("AURA_DASHBOARD__FILES__ROOM_BYTES", room_bytes)
}

#[track_caller]
fn full(answer: &Answer, of: &str) {
    let detail = answer.problem(409, "failed_precondition", "file")["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with(of), "{detail}");
}

#[tokio::test]
async fn what_is_full_says_so_with_its_sizes_until_something_is_deleted() {
    let stack = Stack::with(limited(100_000, 60_000)).await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let own = alice.upload("/files", "a", vec![1; 50_000]).await.expect(201);
    full(
        &alice.upload("/files", "b", vec![1; 51_000]).await,
        "your storage is full: 48.8 KiB of 97.7 KiB are used, and this file has at least",
    );
    let room = alice.room().await;
    let invite = alice.invite(&room).await;
    bob.post(&format!("/invites/{invite}/join"), json!({})).await.expect(200);
    let files = format!("/rooms/{room}/files");
    bob.upload(&files, "c", vec![1; 45_000]).await.expect(201);
    full(
        &bob.upload(&files, "d", vec![1; 20_000]).await,
        "the room's storage is full: 43.9 KiB of 58.6 KiB are used",
    );
    // What the owner keeps elsewhere is not for members to know.
    full(
        &bob.upload(&files, "e", vec![1; 10_000]).await,
        "the storage of the room's owner is full: it holds 97.7 KiB, and this file has at least",
    );
    bob.upload("/files", "f", vec![1; 90_000]).await.expect(201);
    alice.delete(&format!("/files/{}", own["id"].as_str().unwrap())).await.expect(204);
    bob.upload(&files, "e", vec![1; 10_000]).await.expect(201);
    // Files of no bytes are not for nothing.
    let mut none = 0;
    while bob.upload("/files", "g", Vec::new()).await.status == 201 {
        none += 1;
    }
    assert!(none <= 3, "{none}");
}

#[tokio::test]
async fn uploads_at_once_do_not_pass_the_limit_together() {
    let stack = Stack::with(limited(0, 60_000)).await;
    let alice = stack.person("Alice").await;
    let files = format!("/rooms/{}/files", alice.room().await);
    let answers = join_all((0..8).map(|_| alice.upload(&files, "a", vec![1; 25_000]))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 2, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 6, "{statuses:?}");
    assert_eq!(alice.get(&files).await.expect(200)["items"].as_array().unwrap().len(), 2);
}

/// An upload that goes on for as long as the value lives.
struct Endless(TcpStream);

impl Endless {
    async fn into(stack: &Stack, person: &Person, path: &str) -> Self {
        let token = person.session["access_token"].as_str().unwrap();
        let mut stream = TcpStream::connect(stack.http()).await.unwrap();
        let head = format!(
            "POST /api/v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: multipart/form-data; boundary=X\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut this = Self(stream);
        this.chunk(b"--X\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n").await;
        this
    }

    async fn chunk(&mut self, bytes: &[u8]) {
        self.0.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await.unwrap();
        self.0.write_all(bytes).await.unwrap();
        self.0.write_all(b"\r\n").await.unwrap();
    }

    /// What it is told before it has come to an end.
    async fn answer(&mut self) -> String {
        let mut said = Vec::new();
        while !String::from_utf8_lossy(&said).contains("}") {
            let count = self.0.read_buf(&mut said).await.unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&said));
        }
        String::from_utf8_lossy(&said).into_owned()
    }
}

#[tokio::test]
async fn an_upload_ends_where_the_storage_does() {
    let stack = Stack::with(limited(0, 60_000)).await;
    let alice = stack.person("Alice").await;
    let files = format!("/rooms/{}/files", alice.room().await);
    alice.upload(&files, "a", vec![1; 50_000]).await.expect(201);
    let mut upload = Endless::into(&stack, &alice, &files).await;
    upload.chunk(&[1; 9_000]).await;
    upload.chunk(&[1; 9_000]).await;
    let answer = tokio::time::timeout(Duration::from_secs(20), upload.answer());
    let answer = answer.await.expect("it is not received to an end that never comes");
    assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
    assert!(answer.contains("the room's storage is full") && answer.contains("delete files"), "{answer}");
    eventually(Duration::from_secs(10), || async { crate::files::stored(stack.files.path()).len() == 1 })
        .await;
    alice.upload(&files, "b", vec![1; 10_000]).await.expect(201);
}

#[tokio::test]
async fn only_so_many_uploads_run_at_once() {
    let options = Options::default()
        .set("AURA_DASHBOARD__FILES__UPLOADS_PER_USER", 2)
        .set("AURA_DASHBOARD__FILES__UPLOADS_PER_OWNER", 3);
    let stack = Stack::with(options).await;
    let (alice, bob, eve) =
        (stack.person("Alice").await, stack.person("Bob").await, stack.person("Eve").await);
    let room = alice.room().await;
    let (files, invite) = (format!("/rooms/{room}/files"), alice.invite(&room).await);
    for person in [&bob, &eve] {
        person.post(&format!("/invites/{invite}/join"), json!({})).await.expect(200);
    }
    let refused = async |person: &Person| {
        let answer = person.upload(&files, "a", "a").await;
        if answer.status == 201 {
            return false;
        }
        answer.problem(429, "resource_exhausted", "");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
        true
    };
    let soon = Duration::from_secs(20);
    let running = async |count: usize| {
        let incoming = stack.files.path().join("incoming");
        eventually(soon, || async { crate::files::stored(&incoming).len() == count }).await;
    };
    let mut bobs = [Endless::into(&stack, &bob, &files).await, Endless::into(&stack, &bob, &files).await];
    running(2).await;
    assert!(refused(&bob).await);
    assert!(!refused(&alice).await, "others have room");
    let _alices = Endless::into(&stack, &alice, &files).await;
    running(3).await;
    assert!(refused(&eve).await, "the owner's storage takes no more at once");
    bob.upload("/files", "a", "a").await.problem(429, "resource_exhausted", "");
    eve.upload("/files", "a", "a").await.expect(201);

    // Ended and broken off alike make room.
    bobs[0].chunk(b"\r\n--X--\r\n").await;
    bobs[0].0.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(bobs[0].answer().await.starts_with("HTTP/1.1 201 "));
    assert!(!refused(&eve).await && !refused(&bob).await);
    drop(bobs);
    running(1).await;
    let _bobs = Endless::into(&stack, &bob, &files).await;
    running(2).await;
    assert!(!refused(&bob).await);
}

#[tokio::test]
async fn ones_own_files_are_those_nobody_else_sees() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let own = alice.upload("/files", "diary.txt", "dear diary").await.expect(201);
    let shared =
        alice.upload(&format!("/rooms/{}/files", alice.room().await), "slides.txt", "1").await.expect(201);
    assert_eq!(alice.get("/files").await.expect(200)["items"], json!([own]));
    assert_eq!(alice.get("/files?in_rooms=true").await.expect(200)["items"], json!([shared, own]));
    alice.get("/files?in_rooms=perhaps").await.problem(400, "invalid_argument", "in_rooms");
}

/// Stands between a dashboard and its database. Once told to, it lets a COMMIT through and keeps the answer.
async fn between(database_url: &str, lose_answer: Arc<AtomicBool>) -> String {
    let address = |url: &str| url.split_once('@').unwrap().1.split_once('/').unwrap().0.to_owned();
    let real = address(database_url);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let life = Lifecycle::new(Duration::ZERO);
    let url = database_url.replace(&real, &here);
    life.clone().spawn("between", async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&real).await.unwrap();
            life.spawn("connection", carry(client, server, Arc::clone(&lose_answer)));
        }
    });
    url
}

async fn carry(mut client: TcpStream, mut server: TcpStream, lose_answer: Arc<AtomicBool>) {
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                let commits = up[..count].windows(7).any(|bytes| bytes == b"COMMIT\0");
                if server.write_all(&up[..count]).await.is_err() {
                    return;
                }
                if commits && lose_answer.swap(false, Ordering::SeqCst) {
                    let _committed = server.read(&mut down).await;
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_keeps_the_bytes() {
    let database = migrated(Postgres::shared()).await;
    let lose_answer = Arc::new(AtomicBool::new(false));
    let url = between(&database.login_url("dashboard"), Arc::clone(&lose_answer)).await;
    let options = Options { database: Some(database), ..Options::default() };
    let stack = Stack::with(options.set("DATABASE_URL", url)).await;
    let alice = stack.person("Alice").await;
    lose_answer.store(true, Ordering::SeqCst);
    let lost = alice.upload("/files", "a.txt", "precious").await;
    assert_eq!(lost.status, 503, "{}", lost.text());
    assert!(!lose_answer.load(Ordering::SeqCst), "a COMMIT was answered to nobody");
    let listed = alice.get("/files").await.expect(200);
    let id = listed["items"][0]["id"].as_str().expect("the row is there");
    let content = alice.get(&format!("/files/{id}/content")).await;
    assert_eq!((content.status.as_u16(), content.text().as_str()), (200, "precious"));
}

async fn count(stack: &Stack, table: &str) -> i64 {
    let mut db = stack.database.superuser().await;
    let sql = format!("SELECT count(*) FROM dashboard.{table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut db).await.unwrap()
}

/// A person's client after their token has expired.
async fn again(stack: &Stack, email: &str) -> Client {
    let body = json!({"email": email, "password": crate::client::PASSWORD});
    let session = stack.anonymous().post("/auth/login", body).await.expect(200);
    stack.anonymous().with_token(session["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn messages_and_calls_stay_and_dead_links_go() {
    let clock = ManualClock::new(crate::stack::now());
    let options = Options { clock: clock.shared(), ..Options::default() };
    let stack = Stack::with(options.set("AURA_DASHBOARD__HOUSEKEEPING_S", 1)).await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room().await;
    let messages = format!("/rooms/{room}/messages");
    alice.post(&messages, json!({"id": Uuid::new_v4(), "text": "kept"})).await.expect(201);
    let call = crate::calls::place(&alice, &bob).await;
    alice.post(&format!("/calls/{}/end", call["id"].as_str().unwrap()), json!({})).await.expect(200);
    let invites = format!("/rooms/{room}/invites");
    let file = alice.upload("/files", "a", "a").await.expect(201);
    let shares = format!("/files/{}/shares", file["id"].as_str().unwrap());
    for links in [&invites, &shares] {
        let make =
            async |body: Value| alice.post(links, body).await.expect(201)["id"].as_str().unwrap().to_owned();
        let _expired = make(json!({"expires_in_s": 60})).await;
        let revoked = make(json!({})).await;
        alice.delete(&format!("{links}/{revoked}")).await.expect(204);
        let _open = make(json!({})).await;
    }
    clock.advance(29 * DAY);
    // Housekeeping has run once what it forgets at once is gone.
    let strays = async || {
        let mut db = stack.database.superuser().await;
        sqlx::query("INSERT INTO dashboard.processed_events VALUES ('old', 'x', '2000-01-01')")
            .execute(&mut db)
            .await
            .unwrap();
        eventually(Duration::from_secs(10), || async { count(&stack, "processed_events").await == 0 }).await;
    };
    strays().await;
    assert_eq!((count(&stack, "room_invites").await, count(&stack, "share_links").await), (3, 3));
    clock.advance(2 * DAY);
    eventually(Duration::from_secs(10), || async {
        (count(&stack, "room_invites").await, count(&stack, "share_links").await) == (1, 1)
    })
    .await;
    clock.advance(1_000 * DAY);
    strays().await;
    let alice = again(&stack, &alice.email).await;
    assert_eq!(alice.get(&messages).await.expect(200)["items"][0]["text"], json!("kept"));
    assert_eq!(alice.get("/calls").await.expect(200)["items"][0]["id"], call["id"]);
    assert_eq!(alice.get(&shares).await.expect(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_to_be_forgotten_is_however_much_there_is() {
    let options = Options::default()
        .set("AURA_DASHBOARD__HOUSEKEEPING_S", 1)
        .set("AURA_DASHBOARD__RETENTION__MESSAGES_DAYS", 30)
        .set("AURA_DASHBOARD__RETENTION__CALLS_DAYS", 90);
    let stack = Stack::with(options).await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room().await;
    let mut db = stack.database.superuser().await;
    // More than one transaction's worth, and one of each that is young enough.
    for sql in [
        "INSERT INTO dashboard.messages SELECT $1::uuid, $3::uuid, gen_random_uuid(), $1::uuid, 'x', 'x', 'old',
             CASE n WHEN 1 THEN now() - interval '29 days' ELSE now() - interval '31 days' END
         FROM generate_series(1, 2501) n WHERE $2::uuid IS NOT NULL",
        "INSERT INTO dashboard.calls (id, caller_id, callee_id, media, status, ring_timeout_s, created_at, ended_at)
         SELECT gen_random_uuid(), $1::uuid, $2::uuid, 'audio', 'missed', 30, now() - interval '1 year',
             CASE n WHEN 1 THEN now() - interval '89 days' ELSE now() - interval '91 days' END
         FROM generate_series(1, 1501) n WHERE $3::uuid IS NOT NULL",
    ] {
        sqlx::query(sql).bind(&alice.id).bind(&bob.id).bind(&room).execute(&mut db).await.unwrap();
    }
    eventually(Duration::from_secs(20), || async {
        (count(&stack, "messages").await, count(&stack, "calls").await) == (1, 1)
    })
    .await;
}
