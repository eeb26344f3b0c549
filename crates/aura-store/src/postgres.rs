//! Two pools on one login: one acting for users, under row-level security, one acting for the system.
//!
//! A connection becomes the service's role when it is made (`SET ROLE`), so no query ever runs as the login
//! role; a login that could do more than that is refused then. User data are reached only through
//! [`Database::tenant`]: one transaction with the user's id set for exactly its duration. `SET LOCAL`, never `SET`:
//! a plain SET outlives COMMIT and the next borrower of the connection would be the previous user.

mod privilege;
mod transaction;

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use aura_types::UserId;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::time::timeout;

use crate::StoreError;
use privilege::{Privileged, excess};

pub use transaction::{SystemTx, TenantTx, Tx};

/// How to reach the database.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// The login: a role that may become the other two.
    pub url: String,
    /// The service's schema, first in the search path.
    pub schema: String,
    /// The role that acts for users.
    pub app_role: String,
    /// The role that acts for the system.
    pub system_role: String,
    /// Connections for users.
    pub max_connections: u32,
    /// Connections for the system.
    pub system_connections: u32,
    /// The longest wait for a connection. Short: when Postgres is away, callers should hear so soon.
    pub acquire_timeout: Duration,
}

impl DatabaseOptions {
    /// The naming convention: schema `<service>`, roles `<service>_app` and `<service>_system`.
    #[must_use]
    pub fn for_service(service: &str, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            schema: service.to_owned(),
            app_role: format!("{service}_app"),
            system_role: format!("{service}_system"),
            max_connections: 16,
            system_connections: 4,
            acquire_timeout: Duration::from_secs(3),
        }
    }
}

/// The service's database. Connects when first used and again after every loss; clones share the pools.
#[derive(Clone)]
pub struct Database {
    app: PgPool,
    system: PgPool,
    connect: PgConnectOptions,
    prepare_app: Prepare,
    prepare_system: Prepare,
    acquire_timeout: Duration,
}

/// Without the connect options: theirs prints the password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("app", &self.app).field("system", &self.system).finish()
    }
}

impl Database {
    /// Sets up the pools. Does not connect: a service must start while Postgres is away.
    ///
    /// # Errors
    /// [`StoreError::Options`] for a malformed URL or role name.
    pub fn new(options: DatabaseOptions) -> Result<Self, StoreError> {
        for name in [&options.schema, &options.app_role, &options.system_role] {
            check_identifier(name)?;
        }
        let connect = parse_url("DATABASE_URL", &options.url)?.application_name(&options.schema).options([
            ("statement_timeout", "15s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ]);
        let prepare_app = Prepare::new(&options.app_role, &options.schema);
        let prepare_system = Prepare::new(&options.system_role, &options.schema);
        let pool = |max: u32, prepare: &Prepare| {
            let prepare = prepare.clone();
            PgPoolOptions::new()
                .max_connections(max.max(1))
                .acquire_timeout(options.acquire_timeout)
                .idle_timeout(Duration::from_secs(300))
                .max_lifetime(Duration::from_secs(1_800))
                .test_before_acquire(true)
                .after_connect(move |connection, _| {
                    let prepare = prepare.clone();
                    Box::pin(async move { prepare.run(connection).await })
                })
                .connect_lazy_with(connect.clone())
        };
        Ok(Self {
            app: pool(options.max_connections, &prepare_app),
            system: pool(options.system_connections, &prepare_system),
            connect,
            prepare_app,
            prepare_system,
            acquire_timeout: options.acquire_timeout,
        })
    }

    /// Connects once as each role and says whether the login can do no more than it should. Every connection made
    /// later is held to the same.
    ///
    /// # Errors
    /// [`StoreError::PrivilegedRole`] means "refuse to start", [`StoreError::Unavailable`] "try later".
    pub async fn verify(&self) -> Result<(), StoreError> {
        for prepare in [&self.prepare_app, &self.prepare_system] {
            let check = async {
                let mut connection = PgConnection::connect_with(&self.connect).await?;
                let prepared = prepare.run(&mut connection).await;
                let _ = connection.close().await;
                prepared
            };
            match timeout(self.acquire_timeout, check).await {
                Ok(Ok(())) => {}
                Ok(Err(sqlx::Error::Configuration(source))) => match source.downcast::<Privileged>() {
                    Ok(privileged) => {
                        let Privileged { login, role, why } = *privileged;
                        return Err(StoreError::PrivilegedRole { login, role, why });
                    }
                    Err(source) => return Err(StoreError::Internal(source)),
                },
                Ok(Err(error)) => return Err(error.into()),
                Err(elapsed) => return Err(StoreError::Unavailable(elapsed.into())),
            }
        }
        Ok(())
    }

    /// Begins a transaction on behalf of `user`: row policies show and accept that user's rows only.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection can be had in time.
    pub async fn tenant(&self, user: UserId) -> Result<TenantTx, StoreError> {
        let mut tx = self.app.begin().await?;
        sqlx::query("SELECT set_config('app.current_user_id', $1, true)")
            .bind(user.to_string())
            .execute(&mut *tx)
            .await?;
        Ok(TenantTx::new(tx))
    }

    /// Begins a transaction on behalf of the system: no user, and only the narrow grants of that role.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection can be had in time.
    pub async fn system(&self) -> Result<SystemTx, StoreError> {
        Ok(SystemTx::new(self.system.begin().await?))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.system.acquire().await?.execute("SELECT 1").await?;
        Ok(())
    }

    /// Closes both pools, waiting for the connections in use.
    pub async fn close(&self) {
        self.app.close().await;
        self.system.close().await;
    }

    /// Copies pool figures into metrics.
    pub fn report_metrics(&self) {
        for (name, pool) in [("app", &self.app), ("system", &self.system)] {
            let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
            let active = pool.size().saturating_sub(idle);
            metrics::gauge!("auralink_database_pool_active", "pool" => name).set(f64::from(active));
            metrics::gauge!("auralink_database_pool_idle", "pool" => name).set(f64::from(idle));
        }
    }
}

/// What a new connection goes through before its first query.
#[derive(Debug, Clone)]
struct Prepare {
    schema: String,
    become_role: String,
}

impl Prepare {
    fn new(role: &str, schema: &str) -> Self {
        let become_role = format!("SET ROLE {role}; SET search_path = {schema}, public");
        Self { schema: schema.to_owned(), become_role }
    }

    async fn run(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        // First who logged in: as a superuser every SET ROLE would succeed.
        if let Some(privileged) = excess(connection, &self.schema).await? {
            return Err(sqlx::Error::Configuration(Box::new(privileged)));
        }
        connection.execute(AssertSqlSafe(self.become_role.clone())).await?;
        Ok(())
    }
}

/// Reads a URL without ever quoting it, since it holds a password. sqlx itself accepts any scheme.
pub(crate) fn parse_url(name: &str, url: &str) -> Result<PgConnectOptions, StoreError> {
    let has_scheme = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    PgConnectOptions::from_str(url)
        .ok()
        .filter(|_| has_scheme)
        .ok_or_else(|| StoreError::Options(format!("{name} is not a PostgreSQL URL")))
}

/// Names go into statements that take no parameters.
pub(crate) fn check_identifier(name: &str) -> Result<(), StoreError> {
    let mut bytes = name.bytes();
    let ok = bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= 63;
    if ok { Ok(()) } else { Err(StoreError::Options(format!("{name:?} is not a plain SQL name"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_go_into_statements() {
        for good in ["dashboard", "dashboard_app", "_x1"] {
            assert!(check_identifier(good).is_ok(), "{good}");
        }
        for bad in ["", "Dashboard", "a b", "a;drop", "a\"", "1a", &"a".repeat(64)] {
            assert!(check_identifier(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_url_is_never_shown() {
        let options = DatabaseOptions::for_service("s", "mysql://user:hidden@host/db");
        let error = Database::new(options).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
        let options = DatabaseOptions::for_service("s", "postgres://user:hidden@host/db");
        let database = Database::new(options).unwrap();
        assert!(!format!("{database:?}").contains("hidden"), "{database:?}");
    }
}
