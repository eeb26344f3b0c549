//! `auralink migrate`: every service's schema, brought up to date by the owner's hand.

use anyhow::Context;
use aura_store::migrate::{self, Migration};
use clap::Args;
use sqlx::migrate::Migrator;

static DASHBOARD: Migrator = sqlx::migrate!("../../migrations/dashboard");
static AIC: Migrator = sqlx::migrate!("../../migrations/aic");

#[derive(Args)]
pub(crate) struct Options {
    /// Connection URL the services use.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Connection URL of a role that may create roles and schemas; the services' own when absent.
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    owner_url: Option<String>,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let owner_url = options.owner_url.as_deref().unwrap_or(&options.database_url);
    all(owner_url, &options.database_url).await?;
    println!("the database is up to date");
    Ok(())
}

/// Migrates every schema. `login_url` names the role the services log in with.
pub(crate) async fn all(owner_url: &str, login_url: &str) -> anyhow::Result<()> {
    for (service, migrator) in [("dashboard", &DASHBOARD), ("aic", &AIC)] {
        let migration = Migration { service, migrator, owner_url, login_url };
        migrate::run(&migration).await.with_context(|| format!("cannot migrate the schema `{service}`"))?;
    }
    Ok(())
}
