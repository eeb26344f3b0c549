//! Codec services for tests: in this process, or as a child that can be killed.

use std::net::SocketAddr;
use std::time::Duration;

use aic_codec::server::{Config, DEFAULT_CONFIG, MIGRATOR, Running};
use aura_service::Lifecycle;
use aura_service::config::Loader;
use aura_testkit::{Launch, Postgres, Process, Scratch, TestDatabase, eventually, free_tcp_port};
use aura_types::SystemClock;

use crate::client::Client;

pub(crate) const SECRET: &str = "0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e";

/// A service in this process.
pub(crate) struct Server {
    pub(crate) database: TestDatabase,
    pub(crate) addresses: Running,
    lifecycle: Lifecycle,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::on(migrated(Postgres::shared()).await, &[]).await
    }

    pub(crate) async fn with(env: &[(&str, &str)]) -> Self {
        Self::on(migrated(Postgres::shared()).await, env).await
    }

    pub(crate) async fn on(database: TestDatabase, env: &[(&str, &str)]) -> Self {
        let lifecycle = Lifecycle::new(Duration::from_secs(10));
        let config = config(&database, env);
        let addresses = aic_codec::server::start(config, lifecycle.clone(), SystemClock::shared())
            .await
            .expect("the codec service starts");
        Self { database, addresses, lifecycle }
    }

    /// A client that is the SFU.
    pub(crate) async fn sfu(&self) -> Client {
        Client::of(self.addresses.grpc, "webrtc-sfu").await
    }

    /// A client that is the dashboard.
    pub(crate) async fn dashboard(&self) -> Client {
        Client::of(self.addresses.grpc, "dashboard").await
    }

    /// Begins the drain.
    pub(crate) fn drain(&self) {
        self.lifecycle.shutdown("test");
        self.lifecycle.soft().cancel();
    }

    /// Drains and waits for the end; the exit code.
    pub(crate) async fn stop(self) -> u8 {
        self.lifecycle.shutdown("test");
        self.lifecycle.wait().await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lifecycle.shutdown("test");
        self.lifecycle.soft().cancel();
    }
}

pub(crate) async fn migrated(postgres: &Postgres) -> TestDatabase {
    let database = postgres.database().await;
    database.migrate("aic", &MIGRATOR).await;
    database
}

fn environment(database: &TestDatabase) -> Vec<(String, String)> {
    [
        ("AURALINK_ENV", "development"),
        ("DATABASE_URL", &database.login_url("aic")),
        ("AURALINK_SERVICE_SECRET", SECRET),
        ("AURA_AIC__GRPC_ADDR", "127.0.0.1:0"),
        ("AURA_AIC__ADMIN_ADDR", "127.0.0.1:0"),
        ("AURA_AIC__MODEL__BACKEND", "native"),
        ("AURA_AIC__MODEL__WARM_UP_FRAMES", "2"),
        ("AURA_AIC__WORKERS__THREADS", "2"),
        ("AURA_AIC__STORE__FLUSH_MS", "200"),
        // Slow builds on busy machines are not what is tested.
        ("AIC_MAX_LATENCY_MS", "1000"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn config(database: &TestDatabase, env: &[(&str, &str)]) -> Config {
    let more = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Loader::new("AURA_AIC", DEFAULT_CONFIG)
        .env(environment(database).into_iter().chain(more))
        .load()
        .expect("the test configuration is complete")
}

/// A service in a process of its own; ends with the value.
pub(crate) struct Child {
    pub(crate) grpc: SocketAddr,
    process: Process,
    folder: Scratch,
}

impl Child {
    pub(crate) async fn start() -> Self {
        let database = migrated(Postgres::shared()).await;
        let folder = Scratch::new("aic-codec");
        let (grpc, admin) = (free_tcp_port(), free_tcp_port());
        let addresses = [
            ("AURA_AIC__GRPC_ADDR".to_owned(), format!("127.0.0.1:{grpc}")),
            ("AURA_AIC__ADMIN_ADDR".to_owned(), format!("127.0.0.1:{admin}")),
        ];
        let mut env = environment(&database);
        env.retain(|(name, _)| addresses.iter().all(|(own, _)| own != name));
        env.extend(addresses);
        let launch = Launch::new("aic-codec", env!("CARGO_BIN_EXE_aic-codec")).envs(env);
        let process = launch.spawn(folder.path().join("log")).expect("the service can be started");
        let child = Self { grpc: SocketAddr::from(([127, 0, 0, 1], grpc)), process, folder };
        let url = format!("http://127.0.0.1:{admin}/ready");
        eventually(Duration::from_secs(120), || async {
            reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        child
    }

    pub(crate) async fn kill9(&mut self) {
        self.process.kill().await;
    }

    /// SIGTERM; waits for the end and answers the log.
    pub(crate) async fn terminate(mut self) -> String {
        self.process.stop(aura_testkit::Signal::SIGTERM).await;
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}
