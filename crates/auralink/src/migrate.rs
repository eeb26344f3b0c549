//! `auralink migrate`: every service's login, roles and schema, brought up to date by the owner's hand.

use std::str::FromStr as _;

use anyhow::{Context, bail};
use aura_store::migrate::{self, Migration};
use clap::Args;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;

static DASHBOARD: Migrator = sqlx::migrate!("../../migrations/dashboard");
static AIC: Migrator = sqlx::migrate!("../../migrations/aic");

#[derive(Args)]
pub(crate) struct Options {
    /// Connection URL of a role that may create roles and schemas. No service gets it.
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    owner_url: String,
    #[command(flatten)]
    logins: Logins,
}

/// What each service that keeps tables connects with: a login of its own, made if it does not exist, which can become
/// that service's roles and no other's.
#[derive(Debug, Clone, Args)]
pub(crate) struct Logins {
    /// Connection URL of the dashboard: its DATABASE_URL.
    #[arg(long = "dashboard-database-url", env = "DASHBOARD_DATABASE_URL", hide_env_values = true)]
    pub(crate) dashboard: String,
    /// Connection URL of the speech codec: its DATABASE_URL.
    #[arg(long = "aic-database-url", env = "AIC_DATABASE_URL", hide_env_values = true)]
    pub(crate) aic: String,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    all(&options.owner_url, &options.logins).await?;
    println!("the database is up to date");
    Ok(())
}

/// Migrates every schema.
pub(crate) async fn all(owner_url: &str, logins: &Logins) -> anyhow::Result<()> {
    let services = [("dashboard", &DASHBOARD, &logins.dashboard), ("aic", &AIC, &logins.aic)];
    // A malformed URL is reported by the migration itself, without showing it.
    let name = |url: &str| PgConnectOptions::from_str(url).ok().map(|url| url.get_username().to_owned());
    if let (Some(one), Some(other)) = (name(&logins.dashboard), name(&logins.aic))
        && one == other
    {
        bail!(
            "the dashboard and the codec must not share the login {one}: each could read the other's tables"
        );
    }
    for (service, migrator, login_url) in services {
        let migration = Migration { service, migrator, owner_url, login_url };
        migrate::run(&migration).await.with_context(|| format!("cannot migrate the schema `{service}`"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_services_never_share_a_login() {
        let shared = "postgres://auralink:hidden@127.0.0.1:1/auralink".to_owned();
        let logins = Logins { dashboard: shared.clone(), aic: shared };
        let error = all("postgres://postgres:hidden@127.0.0.1:1/auralink", &logins).await.unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("must not share the login auralink") && !text.contains("hidden"), "{text}");
    }
}
