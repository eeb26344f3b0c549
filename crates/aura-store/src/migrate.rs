//! Migrations of one service: its login, its roles, its schema, its tables, owned by a role that nobody logs in as.
//!
//! `<service>_owner` owns everything; `<service>_app` and `<service>_system` own nothing and get only what
//! migrations grant. One login, the service's own, may become those two and nothing else. Several processes may
//! migrate at once: an advisory lock lets one do the work and the others find it done.

mod login;
mod roles;

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tokio::time::timeout;

use crate::StoreError;
use crate::migrate::login::Login;
use crate::postgres::{check_identifier, parse_url};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// "AURA" as the first half of the advisory lock's key; the service's name is the second.
const LOCK_SPACE: i32 = 0x4155_5241;

/// What to migrate, and as whom.
#[derive(Debug, Clone, Copy)]
pub struct Migration<'a> {
    /// The service; also its schema and the stem of its roles.
    pub service: &'static str,
    /// `sqlx::migrate!("../../migrations/<service>")`.
    pub migrator: &'a Migrator,
    /// A login that may create roles and schemas (`DATABASE_OWNER_URL`).
    pub owner_url: &'a str,
    /// The service's own login (`DATABASE_URL`), made if it does not exist: the one member of the app and system roles.
    pub login_url: &'a str,
}

/// Creates what is missing and applies what is new.
///
/// # Errors
/// [`StoreError::Unavailable`] when Postgres is away, [`StoreError::Migration`] when a migration fails or an
/// applied one was changed, [`StoreError::PrivilegedRole`] when the login is no plain role,
/// [`StoreError::ForeignMember`] when somebody else's membership cannot be taken back.
pub async fn run(migration: &Migration<'_>) -> Result<(), StoreError> {
    let service = migration.service;
    check_identifier(service)?;
    let login = Login::of(&parse_url("DATABASE_URL", migration.login_url)?)?;
    let owner = parse_url("DATABASE_OWNER_URL", migration.owner_url)?
        .application_name("migrate")
        .disable_statement_logging();
    let mut connection = timeout(CONNECT_LIMIT, PgConnection::connect_with(&owner))
        .await
        .map_err(|elapsed| StoreError::Unavailable(elapsed.into()))??;

    sqlx::query("SELECT pg_advisory_lock($1, hashtext($2))")
        .bind(LOCK_SPACE)
        .bind(service)
        .execute(&mut connection)
        .await?;
    roles::settle(&mut connection, service, &login).await?;
    login.agree_on_password(&mut connection, &owner).await?;
    create_schema(&mut connection, service).await?;

    let mut migrator = Migrator::with_migrations(migration.migrator.iter().cloned().collect());
    migrator.dangerous_set_table_name(format!("{service}._sqlx_migrations"));
    migrator.set_locking(false);
    // Not `run`: its future is not `Send` with a borrowed connection (launchbadge/sqlx, "not general enough").
    migrator
        .run_direct(None, &mut connection, false)
        .await
        .map_err(|source| StoreError::Migration { service, source: Box::new(source) })?;
    // Closing the session gives the advisory lock back; a failed close does too, a moment later.
    let _ = connection.close().await;
    Ok(())
}

/// The schema, owned by the owner role; everything after this runs as that role.
async fn create_schema(connection: &mut PgConnection, service: &str) -> Result<(), StoreError> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(service)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        let sql = format!("CREATE SCHEMA {service} AUTHORIZATION {service}_owner");
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    let sql = format!(
        "SET ROLE {service}_owner; SET search_path = {service}, public; \
         GRANT USAGE ON SCHEMA {service} TO {service}_app, {service}_system"
    );
    connection.execute(AssertSqlSafe(sql)).await?;
    Ok(())
}
