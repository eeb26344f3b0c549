//! The stack's PostgreSQL and Redis: private ones under the data folder, or those the environment names.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use aura_local::{LocalError, Postgres, PostgresOptions, Redis, RedisOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::time::sleep;

use crate::secrets::Secrets;
use crate::up::console::say;
use crate::up::options::Options;

const DATABASE: &str = "auralink";
const LOGIN_ROLE: &str = "auralink";
const WATCH: Duration = Duration::from_secs(1);

/// The databases a stack runs on; private ones end with this value.
pub(crate) struct Stores {
    pub(crate) database_url: String,
    pub(crate) owner_url: String,
    pub(crate) redis_url: String,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
}

impl Stores {
    pub(crate) async fn start(options: &Options, secrets: &Secrets) -> anyhow::Result<Self> {
        let dir = std::path::absolute(options.data_dir.path()).context("the data folder has no path")?;
        let (database, redis) = tokio::try_join!(database(options, secrets, &dir), redis(options, secrets))?;
        let (database_url, owner_url, postgres) = database;
        let (redis_url, redis) = redis;
        Ok(Self { database_url, owner_url, redis_url, postgres, redis })
    }

    /// Brings back a private server that ended by itself; runs for ever.
    pub(crate) async fn keep_running(&mut self) -> ! {
        loop {
            sleep(WATCH).await;
            if let Some(postgres) = &mut self.postgres
                && postgres.has_ended()
            {
                report("PostgreSQL", postgres.restart().await);
            }
            if let Some(redis) = &mut self.redis
                && redis.has_ended()
            {
                report("Redis", redis.restart().await);
            }
        }
    }

    pub(crate) async fn stop(self) {
        if let Some(redis) = self.redis {
            redis.stop().await;
        }
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
    }
}

async fn database(
    options: &Options,
    secrets: &Secrets,
    dir: &Path,
) -> anyhow::Result<(String, String, Option<Postgres>)> {
    if let Some(url) = &options.database_url {
        let owner_url = options.database_owner_url.clone().unwrap_or_else(|| url.clone());
        say("using the PostgreSQL of DATABASE_URL");
        return Ok((url.clone(), owner_url, None));
    }
    let postgres = Postgres::start(PostgresOptions {
        dir: dir.join("postgres"),
        port: options.postgres_port,
        password: secrets.postgres_password.clone(),
        durable: true,
    })
    .await?;
    say(&format!("PostgreSQL listens on 127.0.0.1:{}", postgres.port()));
    create_database(&postgres.url("postgres"), &secrets.database_password).await?;
    let url = postgres.url_as(LOGIN_ROLE, &secrets.database_password, DATABASE);
    Ok((url, postgres.url(DATABASE), Some(postgres)))
}

async fn redis(options: &Options, secrets: &Secrets) -> anyhow::Result<(String, Option<Redis>)> {
    if let Some(url) = &options.redis_url {
        say("using the Redis of REDIS_URL");
        return Ok((url.clone(), None));
    }
    let redis = Redis::start(RedisOptions {
        dir: options.data_dir.private_folder("redis")?,
        port: options.redis_port,
        password: secrets.redis_password.clone(),
        durable: true,
    })
    .await?;
    say(&format!("Redis listens on 127.0.0.1:{}", redis.port()));
    Ok((redis.url(), Some(redis)))
}

/// The database, and the role the services log in with: it owns nothing and is no superuser, so that
/// row-level security binds it.
async fn create_database(superuser_url: &str, password: &str) -> anyhow::Result<()> {
    let mut connection =
        PgConnection::connect(superuser_url).await.context("cannot log in to the private PostgreSQL")?;
    let row = sqlx::query(
        "select exists(select from pg_roles where rolname = $1), exists(select from pg_database where datname = $2)",
    )
    .bind(LOGIN_ROLE)
    .bind(DATABASE)
    .fetch_one(&mut connection)
    .await?;
    let verb = if row.get(0) { "alter" } else { "create" };
    // Letters and digits only (secrets.rs); PostgreSQL takes no parameters here.
    let role = format!("{verb} role {LOGIN_ROLE} login nosuperuser nobypassrls password '{password}'");
    sqlx::query(AssertSqlSafe(role)).execute(&mut connection).await?;
    if !row.get::<bool, _>(1) {
        sqlx::query(AssertSqlSafe(format!("create database {DATABASE}"))).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}

fn report(name: &str, outcome: Result<(), LocalError>) {
    match outcome {
        Ok(()) => say(&format!("{name} had ended and runs again")),
        Err(error) => say(&format!("{name} ended and does not start: {error}")),
    }
}
