//! One dashboard in this process, on its own database.

use crate::client::{Client, Person};
use crate::codec_service::CodecService;
use aura_service::Lifecycle;
use aura_service::config::Loader;
use aura_testkit::{Postgres, RedisServer, Scratch, TestDatabase, free_tcp_port};
use aura_types::{ManualClock, SharedClock, SystemClock};
use dashboard::{Config, MIGRATOR, Running};
use std::net::SocketAddr;
use std::time::Duration;
use time::OffsetDateTime;

pub(crate) const USER_SECRET: &str = "4f1d9c7be2a35f60f1d9c7be2a35f604";
pub(crate) const SERVICE_SECRET: &str = "0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e";
pub(crate) const LIVEKIT_SECRET: &str = "9a8d7c6b5e4f3a2b1c0d9e8f7a6b5c4d";

/// What a test may change about its dashboard.
pub(crate) struct Options {
    pub(crate) env: Vec<(&'static str, String)>,
    pub(crate) clock: SharedClock,
    pub(crate) redis_url: String,
    pub(crate) database: Option<TestDatabase>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            env: Vec::new(),
            clock: SystemClock::shared(),
            redis_url: RedisServer::shared().url().to_owned(),
            database: None,
        }
    }
}

impl Options {
    pub(crate) fn set(mut self, key: &'static str, value: impl ToString) -> Self {
        self.env.push((key, value.to_string()));
        self
    }
}

pub(crate) struct Stack {
    pub(crate) database: TestDatabase,
    pub(crate) addresses: Running,
    pub(crate) files: Scratch,
    lifecycle: Lifecycle,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// With a clock that stands still until advanced.
    pub(crate) async fn at_rest() -> (Self, ManualClock) {
        let clock = ManualClock::new(SystemClock::shared().now());
        (Self::with(Options { clock: clock.shared(), ..Options::default() }).await, clock)
    }

    pub(crate) async fn with(options: Options) -> Self {
        let database = match options.database {
            Some(database) => database,
            None => migrated(Postgres::shared()).await,
        };
        let files = Scratch::new("files");
        let config = config(&database, &options.redis_url, files.path(), options.env);
        let lifecycle = Lifecycle::new(Duration::from_secs(5));
        let addresses =
            dashboard::start(config, lifecycle.clone(), options.clock).await.expect("the dashboard starts");
        Self { database, addresses, files, lifecycle }
    }

    /// With a codec service of its own beside it.
    pub(crate) async fn with_codec() -> (Self, CodecService) {
        let database = migrated(Postgres::shared()).await;
        let codec = CodecService::start(&database).await;
        let options = Options { database: Some(database), ..Options::default() };
        (Self::with(options.set("AURA_DASHBOARD__AIC__GRPC_URL", codec.url())).await, codec)
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.addresses.http
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self.http())
    }

    /// A fresh account with this display name.
    pub(crate) async fn person(&self, name: &str) -> Person {
        self.anonymous().register(name).await
    }

    /// Stops it and waits until it has.
    pub(crate) async fn stop(self) -> TestDatabase {
        self.lifecycle.shutdown("test");
        self.lifecycle.wait().await;
        self.database.clone()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.lifecycle.shutdown("test");
        self.lifecycle.soft().cancel();
    }
}

pub(crate) async fn migrated(postgres: &Postgres) -> TestDatabase {
    let database = postgres.database().await;
    database.migrate("dashboard", &MIGRATOR).await;
    database
}

fn config(
    database: &TestDatabase,
    redis_url: &str,
    files: &std::path::Path,
    env: Vec<(&'static str, String)>,
) -> Config {
    let nobody = free_tcp_port();
    let base = [
        ("AURALINK_ENV", "development".to_owned()),
        ("DATABASE_URL", database.login_url("dashboard")),
        ("REDIS_URL", redis_url.to_owned()),
        ("LIVEKIT_KEYS", format!("key: {LIVEKIT_SECRET}")),
        ("AURALINK_SERVICE_SECRET", SERVICE_SECRET.to_owned()),
        ("AURALINK_USER_SECRET", USER_SECRET.to_owned()),
        ("AURA_DASHBOARD__HTTP_ADDR", "127.0.0.1:0".to_owned()),
        ("AURA_DASHBOARD__GRPC_ADDR", "127.0.0.1:0".to_owned()),
        ("AURA_DASHBOARD__ADMIN_ADDR", "127.0.0.1:0".to_owned()),
        ("AURA_DASHBOARD__SFU__GRPC_URL", format!("http://127.0.0.1:{nobody}")),
        ("AURA_DASHBOARD__AIC__GRPC_URL", format!("http://127.0.0.1:{nobody}")),
        ("AURA_DASHBOARD__FILES__DIR", files.display().to_string()),
        // Cheap hashes: their cost is not what is tested here.
        ("AURA_DASHBOARD__PASSWORDS__MEMORY_KIB", "64".to_owned()),
        ("AURA_DASHBOARD__PASSWORDS__ITERATIONS", "1".to_owned()),
        // All tests share an address and a Redis.
        ("AURA_DASHBOARD__LIMITS__REGISTER_PER_ADDRESS", "100000".to_owned()),
        ("AURA_DASHBOARD__LIMITS__LOGIN_PER_ADDRESS", "100000".to_owned()),
        ("AURA_DASHBOARD__LIMITS__LINKS_PER_ADDRESS", "100000".to_owned()),
        ("AURA_DASHBOARD__LIMITS__REQUESTS_PER_USER", "100000".to_owned()),
    ];
    let env = base.into_iter().chain(env).map(|(key, value)| (key.to_owned(), value));
    Loader::new("AURA_DASHBOARD", dashboard::config::DEFAULTS)
        .env(env)
        .load()
        .expect("the test configuration is complete")
}

pub(crate) fn now() -> OffsetDateTime {
    SystemClock::shared().now()
}
