//! Storage against real servers: row security on a pool, restarts, migrations, logins, the bus, rate limits.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod bus;
mod logins;
mod migrate;
mod postgres;
mod rate_limit;

use aura_store::{Database, DatabaseOptions};
use aura_testkit::{Postgres, TestDatabase};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("tests/it/migrations");

async fn migrated(postgres: &Postgres) -> TestDatabase {
    let database = postgres.database().await;
    database.migrate("sample", &MIGRATOR).await;
    database
}

fn open(url: &str, max_connections: u32) -> Database {
    Database::new(DatabaseOptions { max_connections, ..DatabaseOptions::for_service("sample", url) }).unwrap()
}
