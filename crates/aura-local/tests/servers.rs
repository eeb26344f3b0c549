//! The real servers: start, crash, come back with what was acknowledged, stop.

use aura_local::{Postgres, PostgresOptions, Redis, RedisOptions, find_program};
use tokio::net::TcpStream;
use tokio::process::Command;

/// A folder every account can pass through, as PostgreSQL's needs when the tests run as root.
fn open_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("the temporary folder is writable")
}

async fn query(url: &str, sql: &str) -> String {
    let psql = find_program("psql").expect("psql is installed with postgresql");
    let output =
        Command::new(psql).args(["-X", "-A", "-t", "-c", sql, url]).output().await.expect("psql runs");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn postgres_keeps_what_it_acknowledged_before_a_crash() {
    let folder = open_folder();
    let options = PostgresOptions {
        dir: folder.path().join("postgres"),
        port: None,
        password: "s3cret".to_owned(),
        durable: false,
        programs: None,
    };
    let mut server = Postgres::start(options).await.unwrap();
    let url = server.url("postgres");
    query(&url, "create table kept (n int); insert into kept values (7)").await;

    server.kill().await;
    assert!(TcpStream::connect(("127.0.0.1", server.port())).await.is_err(), "still listening after SIGKILL");
    server.restart().await.unwrap();

    assert_eq!(query(&url, "select n from kept").await, "7");
    server.stop().await;
}

#[tokio::test]
async fn postgres_asks_for_the_password() {
    let folder = open_folder();
    let options = PostgresOptions {
        dir: folder.path().join("postgres"),
        port: None,
        password: "s3cret".to_owned(),
        durable: false,
        programs: None,
    };
    let server = Postgres::start(options).await.unwrap();
    let psql = find_program("psql").expect("psql is installed with postgresql");
    let wrong = server.url_as("postgres", "wrong", "postgres");
    let output = Command::new(psql).args(["-X", "-c", "select 1", &wrong]).output().await.unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("password authentication failed"));
}

#[tokio::test]
async fn redis_crashes_and_comes_back_on_its_port() {
    let folder = open_folder();
    let options = RedisOptions {
        dir: folder.path().join("redis"),
        port: None,
        password: "s3cret".to_owned(),
        durable: true,
    };
    let mut server = Redis::start(options).await.unwrap();
    let port = server.port();
    server.kill().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "still listening after SIGKILL");
    server.restart().await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    server.stop().await;
}
