//! What has expired is forgotten; what has not is kept.

use crate::stack::{Options, Stack};
use aura_testkit::eventually;
use aura_types::ManualClock;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn expired_logins_guests_and_stray_bytes_go_and_files_stay() {
    let clock = ManualClock::new(crate::stack::now());
    let options = Options { clock: clock.shared(), ..Options::default() };
    let stack = Stack::with(options.set("AURA_DASHBOARD__HOUSEKEEPING_S", 1)).await;
    let alice = stack.person("Alice").await;
    let invite = alice.invite(&alice.room().await).await;
    let guest = json!({"display_name": "Gus"});
    stack.anonymous().post(&format!("/invites/{invite}/join"), guest).await.expect(200);
    let file = alice.upload("/files", "kept.txt", "kept").await.expect(201);
    let stray = stack.files.path().join("ab").join("ab000000000000000000000000000000");
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(&stray, "nobody's").unwrap();

    clock.advance(Duration::from_secs(100 * 24 * 3600));
    let count = async |table: &str| -> i64 {
        let mut db = stack.database.superuser().await;
        let sql = format!("SELECT count(*) FROM dashboard.{table}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut db).await.unwrap()
    };
    eventually(Duration::from_secs(10), || async {
        count("refresh_tokens").await == 0 && count("room_guests").await == 0 && !stray.exists()
    })
    .await;

    let body = json!({"email": alice.email, "password": crate::client::PASSWORD});
    let session = stack.anonymous().post("/auth/login", body).await.expect(200);
    let alice = stack.anonymous().with_token(session["access_token"].as_str().unwrap());
    let content = alice.get(&format!("/files/{}/content", file["id"].as_str().unwrap())).await;
    assert_eq!((content.status.as_u16(), content.text().as_str()), (200, "kept"));
}
