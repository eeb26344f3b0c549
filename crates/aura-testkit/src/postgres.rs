//! A throw-away PostgreSQL: one cluster for all tests of a process, a fresh database for each test; or a
//! cluster of one's own, to kill and bring back.

use std::str::FromStr as _;
use std::sync::OnceLock;

use aura_store::migrate::{self, Migration};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use crate::keeper::Keeper;
use crate::scratch::Scratch;

/// The plain role services log in as: it may do nothing until migrations grant it something.
pub const LOGIN_ROLE: &str = "auralink_login";
const PASSWORD: &str = "throwaway";

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
        let (send_port, port) = std::sync::mpsc::channel();
        let keeper = Keeper::start("test-postgres", move |runtime| {
            let scratch = Scratch::new("postgres");
            let options = aura_local::PostgresOptions {
                dir: scratch.path().to_owned(),
                port: None,
                password: PASSWORD.to_owned(),
                durable: false,
            };
            let postgres = runtime
                .block_on(aura_local::Postgres::start(options))
                .unwrap_or_else(|error| panic!("cannot start PostgreSQL: {error:?}"));
            runtime.block_on(create_login(&postgres.url("postgres")));
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
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let database = TestDatabase { port: self.port, name };
        let mut admin = connect(&url("postgres", self.port, "postgres")).await;
        let sql = format!("CREATE DATABASE {}", database.name);
        admin.execute(AssertSqlSafe(sql)).await.expect("a database can be created");
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

async fn create_login(admin_url: &str) {
    let mut admin = connect(admin_url).await;
    let sql = format!("CREATE ROLE {LOGIN_ROLE} LOGIN PASSWORD '{PASSWORD}'");
    admin.execute(AssertSqlSafe(sql)).await.expect("the cluster is new");
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
}

impl TestDatabase {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Logs in as superuser: for migrations and for looking behind row policies.
    #[must_use]
    pub fn superuser_url(&self) -> String {
        url("postgres", self.port, &self.name)
    }

    /// Logs in as [`LOGIN_ROLE`]: what a service gets as `DATABASE_URL`.
    #[must_use]
    pub fn login_url(&self) -> String {
        url(LOGIN_ROLE, self.port, &self.name)
    }

    /// Gives it a service's schema, roles and tables.
    pub async fn migrate(&self, service: &'static str, migrator: &Migrator) {
        let (owner_url, login_url) = (&self.superuser_url(), &self.login_url());
        let migration = Migration { service, migrator, owner_url, login_url };
        migrate::run(&migration).await.expect("migrations apply");
    }

    /// A superuser connection.
    pub async fn superuser(&self) -> PgConnection {
        connect(&self.superuser_url()).await
    }
}
