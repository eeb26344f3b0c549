//! Storage against real servers: row security on a pool, restarts, migrations, the bus, rate limits.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod bus;
mod migrate;
mod postgres;
mod rate_limit;

use aura_store::migrate::Migration;
use aura_store::{Database, DatabaseOptions};
use aura_testkit::{Postgres, TestDatabase};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("tests/it/migrations");

async fn migrated(postgres: &Postgres) -> TestDatabase {
    let database = postgres.database().await;
    let (owner_url, login_url) = (database.superuser_url(), database.login_url());
    let migration =
        Migration { service: "sample", migrator: &MIGRATOR, owner_url: &owner_url, login_url: &login_url };
    aura_store::migrate::run(&migration).await.unwrap();
    database
}

fn open(url: &str, max_connections: u32) -> Database {
    Database::new(DatabaseOptions { max_connections, ..DatabaseOptions::for_service("sample", url) }).unwrap()
}
