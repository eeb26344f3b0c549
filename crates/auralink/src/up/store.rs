//! The stack's PostgreSQL and Redis: private ones under the data folder, or those the environment names.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use aura_local::{LocalError, Postgres, PostgresOptions, Redis, RedisOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::sleep;
use url::Url;

use crate::migrate::Logins;
use crate::secrets::Secrets;
use crate::up::console::say;
use crate::up::options::Options;

const DATABASE: &str = "auralink";
const DASHBOARD_LOGIN: &str = "auralink_dashboard";
const AIC_LOGIN: &str = "auralink_aic";
const WATCH: Duration = Duration::from_secs(1);

/// The databases a stack runs on; private ones end with this value.
pub(crate) struct Stores {
    pub(crate) logins: Logins,
    pub(crate) owner_url: String,
    pub(crate) redis_url: String,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
}

impl Stores {
    pub(crate) async fn start(options: &Options, secrets: &Secrets) -> anyhow::Result<Self> {
        let dir = std::path::absolute(options.data_dir.path()).context("the data folder has no path")?;
        let (database, redis) = tokio::try_join!(database(options, secrets, &dir), redis(options, secrets))?;
        let (owner_url, postgres) = database;
        let (redis_url, redis) = redis;
        let logins = logins(&owner_url, secrets)?;
        Ok(Self { logins, owner_url, redis_url, postgres, redis })
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

/// The URL of the role that migrates, and the server if it is a private one.
async fn database(
    options: &Options,
    secrets: &Secrets,
    dir: &Path,
) -> anyhow::Result<(String, Option<Postgres>)> {
    if let Some(url) = options.database_owner_url.as_ref().or(options.database_url.as_ref()) {
        say("using the PostgreSQL of DATABASE_OWNER_URL or DATABASE_URL");
        return Ok((url.clone(), None));
    }
    let postgres = Postgres::start(PostgresOptions {
        dir: dir.join("postgres"),
        port: options.postgres_port,
        password: secrets.postgres_password.clone(),
        durable: true,
        programs: None,
    })
    .await?;
    say(&format!("PostgreSQL listens on 127.0.0.1:{}", postgres.port()));
    create_database(&postgres.url("postgres")).await?;
    Ok((postgres.url(DATABASE), Some(postgres)))
}

/// The services' own logins on the owner's server and database; migrating makes them.
fn logins(owner_url: &str, secrets: &Secrets) -> anyhow::Result<Logins> {
    let login = |name: &str, password: &str| {
        let mut url = Url::parse(owner_url).ok()?;
        url.set_username(name).ok()?;
        url.set_password(Some(password)).ok()?;
        Some(url.to_string())
    };
    let logins = login(DASHBOARD_LOGIN, &secrets.dashboard_database_password)
        .zip(login(AIC_LOGIN, &secrets.aic_database_password));
    let (dashboard, aic) = logins.context("the URL of the database is not one with a host")?;
    Ok(Logins { dashboard, aic })
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

async fn create_database(superuser_url: &str) -> anyhow::Result<()> {
    let mut connection =
        PgConnection::connect(superuser_url).await.context("cannot log in to the private PostgreSQL")?;
    let exists: bool = sqlx::query_scalar("select exists(select from pg_database where datname = $1)")
        .bind(DATABASE)
        .fetch_one(&mut connection)
        .await?;
    if !exists {
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
