//! A throw-away PostgreSQL: one cluster for all tests of a process, a fresh database for each test; or a
//! cluster of one's own, to kill and bring back, or of another version than the system's.

mod newer;

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::OnceLock;

use aura_store::migrate::{self, Migration};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use crate::keeper::Keeper;
use crate::scratch::Scratch;

const PASSWORD: &str = "throwaway";
const SUPERUSER: &str = "postgres";

struct Server {
    postgres: aura_local::Postgres,
    // After the server: its files go last.
    _scratch: Scratch,
}

/// A cluster.
#[derive(Debug)]
pub struct Postgres {
    keeper: Keeper<Server>,
    port: u16,
}

impl Postgres {
    /// The cluster all tests of this process share; started by the first to ask.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A cluster of one's own. A killed server loses nothing it acknowledged: only flushing to disk is off.
    #[must_use]
    pub fn start() -> Self {
        Self::start_from(|_| None)
    }

    /// A cluster of the version `tests/postgres` brings, newer than the system's: what changed about roles and
    /// privileges since then shows there.
    ///
    /// # Panics
    /// When it is not installed: run `make setup-test` first.
    #[must_use]
    pub fn start_newer() -> Self {
        Self::start_from(|scratch| Some(newer::programs(scratch)))
    }

    fn start_from(programs: fn(&Path) -> Option<PathBuf>) -> Self {
        let (send_port, port) = std::sync::mpsc::channel();
        let keeper = Keeper::start("test-postgres", move |runtime| {
            let scratch = Scratch::new("postgres");
            let options = aura_local::PostgresOptions {
                dir: scratch.path().to_owned(),
                port: None,
                password: PASSWORD.to_owned(),
                durable: false,
                programs: programs(scratch.path()),
            };
            let postgres = runtime
                .block_on(aura_local::Postgres::start(options))
                .unwrap_or_else(|error| panic!("cannot start PostgreSQL: {error:?}"));
            let _ = send_port.send(postgres.port());
            Server { postgres, _scratch: scratch }
        });
        Self { keeper, port: port.recv().expect("sent before the keeper reported the start") }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new, empty database. It goes with the cluster.
    pub async fn database(&self) -> TestDatabase {
        self.database_of(SUPERUSER).await
    }

    /// A new, empty database made and migrated by `owner`: as a managed server has it, a login that may create roles
    /// and databases and nothing else. It is made too if it is not there; one at a time.
    pub async fn database_of(&self, owner: &'static str) -> TestDatabase {
        let database =
            TestDatabase { port: self.port, name: format!("test_{}", uuid::Uuid::now_v7().simple()), owner };
        let mut admin = connect(&url(SUPERUSER, self.port, "postgres")).await;
        let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
            .bind(owner)
            .fetch_one(&mut admin)
            .await
            .expect("the catalogue can be read");
        if !known {
            let sql = format!("CREATE ROLE {owner} LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}'");
            admin.execute(AssertSqlSafe(sql)).await.expect("a superuser can create a role");
        }
        let sql = format!("CREATE DATABASE {}", database.name);
        let mut owner = connect(&url(owner, self.port, "postgres")).await;
        owner.execute(AssertSqlSafe(sql)).await.expect("a database can be created");
        database
    }

    /// Kills the server as a crash would.
    pub async fn kill9(&self) {
        self.keeper.with(|server, runtime| runtime.block_on(server.postgres.kill())).await;
    }

    /// Brings it back on the same port with the same data.
    pub async fn restart(&self) {
        let outcome = self.keeper.with(|server, runtime| runtime.block_on(server.postgres.restart())).await;
        outcome.unwrap_or_else(|error| panic!("cannot restart PostgreSQL: {error:?}"));
    }
}

async fn connect(url: &str) -> PgConnection {
    PgConnectOptions::from_str(url)
        .expect("we wrote the URL")
        .connect()
        .await
        .unwrap_or_else(|error| panic!("cannot connect to the test database: {error}"))
}

fn url(role: &str, port: u16, database: &str) -> String {
    format!("postgres://{role}:{PASSWORD}@127.0.0.1:{port}/{database}")
}

/// A database of one test.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    port: u16,
    name: String,
    owner: &'static str,
}

impl TestDatabase {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Logs in as superuser: for looking behind row policies.
    #[must_use]
    pub fn superuser_url(&self) -> String {
        self.url_as(SUPERUSER)
    }

    /// Logs in as who migrates.
    #[must_use]
    pub fn owner_url(&self) -> String {
        self.url_as(self.owner)
    }

    /// Logs in as the service's own login: what it gets as `DATABASE_URL`. Migrating makes that login.
    #[must_use]
    pub fn login_url(&self, service: &str) -> String {
        self.url_as(&format!("auralink_{service}"))
    }

    /// Logs in as some role that has the password of all roles here, `throwaway`.
    #[must_use]
    pub fn url_as(&self, role: &str) -> String {
        url(role, self.port, &self.name)
    }

    /// Gives it a service's login, roles, schema and tables.
    pub async fn migrate(&self, service: &'static str, migrator: &Migrator) {
        let (owner_url, login_url) = (&self.owner_url(), &self.login_url(service));
        let migration = Migration { service, migrator, owner_url, login_url };
        migrate::run(&migration).await.expect("migrations apply");
    }

    /// A superuser connection.
    pub async fn superuser(&self) -> PgConnection {
        connect(&self.superuser_url()).await
    }
}
