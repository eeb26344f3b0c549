//! Migrations of one service: its roles, its schema, its tables, owned by a role that nobody logs in as.
//!
//! `<service>_owner` owns everything; `<service>_app` and `<service>_system` own nothing and get only what
//! migrations grant. Several processes may migrate at once: an advisory lock lets one do the work and the
//! others find it done.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::time::timeout;

use crate::StoreError;
use crate::postgres::{check_identifier, parse_url};
use crate::retry::Backoff;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Roles belong to the whole cluster, so two databases migrated at once may collide; a retry settles it.
const ROLE_TRIES: u32 = 20;
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
    /// The service's login (`DATABASE_URL`): made a member of the app and system roles.
    pub login_url: &'a str,
}

/// Creates what is missing and applies what is new.
///
/// # Errors
/// [`StoreError::Unavailable`] when Postgres is away, [`StoreError::Migration`] when a migration fails or an
/// applied one was changed.
pub async fn run(migration: &Migration<'_>) -> Result<(), StoreError> {
    let service = migration.service;
    check_identifier(service)?;
    let login = parse_url("DATABASE_URL", migration.login_url)?.get_username().to_owned();
    let owner = parse_url("DATABASE_OWNER_URL", migration.owner_url)?.application_name("migrate");
    let mut connection = timeout(CONNECT_LIMIT, PgConnection::connect_with(&owner))
        .await
        .map_err(|elapsed| StoreError::Unavailable(elapsed.into()))??;

    sqlx::query("SELECT pg_advisory_lock($1, hashtext($2))")
        .bind(LOCK_SPACE)
        .bind(service)
        .execute(&mut connection)
        .await?;
    create_roles(&mut connection, service, &login).await?;
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

/// [`run`], waiting for Postgres for up to `patience`: at start-up both may be starting.
///
/// # Errors
/// As [`run`]; [`StoreError::Unavailable`] only after `patience`.
pub async fn run_when_available(migration: &Migration<'_>, patience: Duration) -> Result<(), StoreError> {
    let mut backoff = Backoff::new();
    let until_done = async {
        loop {
            match run(migration).await {
                Err(error) if error.is_unavailable() => {
                    tracing::warn!(error = %crate::chain(&error), "cannot migrate yet");
                    backoff.pause().await;
                }
                result => return result,
            }
        }
    };
    timeout(patience, until_done).await.unwrap_or_else(|elapsed| Err(StoreError::Unavailable(elapsed.into())))
}

/// The three roles, and who may become them: the migrating login the owner, the service's login the others.
async fn create_roles(connection: &mut PgConnection, service: &str, login: &str) -> Result<(), StoreError> {
    let mut backoff = Backoff::new();
    for tries in 1.. {
        match try_create_roles(connection, service, login).await {
            Err(error) if tries < ROLE_TRIES && is_collision(&error) => backoff.pause().await,
            result => return Ok(result?),
        }
    }
    unreachable!("the loop ends by returning")
}

async fn try_create_roles(
    connection: &mut PgConnection,
    service: &str,
    login: &str,
) -> Result<(), sqlx::Error> {
    for suffix in ["owner", "app", "system"] {
        let role = format!("{service}_{suffix}");
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
            .bind(&role)
            .fetch_one(&mut *connection)
            .await?;
        if !exists {
            let sql = format!("CREATE ROLE {role} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS");
            connection.execute(AssertSqlSafe(sql)).await?;
        }
        let member = if suffix == "owner" { None } else { Some(login) };
        grant_membership(connection, &role, member).await?;
    }
    Ok(())
}

/// Makes `member`, or the current login, a member of `role`, unless it is already (or needs no grant, as
/// superusers).
async fn grant_membership(
    connection: &mut PgConnection,
    role: &str,
    member: Option<&str>,
) -> Result<(), sqlx::Error> {
    let missing: Option<String> = sqlx::query_scalar(
        "SELECT quote_ident(rolname) FROM pg_roles \
         WHERE rolname = coalesce($2, current_user::text) AND NOT pg_has_role(oid, $1, 'MEMBER')",
    )
    .bind(role)
    .bind(member)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(member) = missing {
        connection.execute(AssertSqlSafe(format!("GRANT {role} TO {member}"))).await?;
    }
    Ok(())
}

/// Somebody else created the role, or changed its membership, at the same moment.
fn is_collision(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    let code = error.code().unwrap_or_default();
    matches!(&*code, "42710" | "23505" | "40001" | "40P01")
        || (code == "XX000" && error.message().contains("concurrently"))
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
