//! The whole stack: PostgreSQL, Redis, SFU and dashboard, and the codec service where asked for, private to one test.

use anyhow::{Context, bail};
use aura_local::{Postgres, PostgresOptions, Redis, RedisOptions, find_program, free_port};
use tempfile::TempDir;
use tokio::process::Command;

use crate::aic::CodecService;
use crate::fixture;
use crate::rest::Api;
use crate::service::Service;
use crate::sfu::{SERVICE_SECRET, Sfu, SfuOptions};

const DATABASE: &str = "auralink";
const PASSWORD: &str = "test";
const USER_SECRET: &str = "a-user-secret-only-tests-use-0123456789ab";

/// Everything one test needs; ends with the value.
pub struct Stack {
    /// The SFU.
    pub sfu: Sfu,
    /// Where the dashboard answers, http://.
    pub url: String,
    /// Where the codec service answers, http://, if it was asked for.
    pub codec_url: String,
    dashboard: Service,
    codec: Option<CodecService>,
    redis: Redis,
    postgres: Postgres,
    folder: TempDir,
}

impl Stack {
    /// Starts everything with defaults.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(SfuOptions::default(), Vec::new()).await
    }

    /// Starts everything; `dashboard_env` is more configuration for the dashboard.
    pub async fn start_with(
        sfu: SfuOptions,
        dashboard_env: Vec<(&'static str, String)>,
    ) -> anyhow::Result<Self> {
        Self::launch(sfu, dashboard_env, false).await
    }

    /// Starts everything, the codec service included.
    pub async fn start_with_codec(sfu: SfuOptions) -> anyhow::Result<Self> {
        Self::start_whole(sfu, Vec::new()).await
    }

    /// Everything, the codec service included, with settings of the dashboard's.
    pub async fn start_whole(
        sfu: SfuOptions,
        dashboard_env: Vec<(&'static str, String)>,
    ) -> anyhow::Result<Self> {
        Self::launch(sfu, dashboard_env, true).await
    }

    async fn launch(
        mut sfu: SfuOptions,
        dashboard_env: Vec<(&'static str, String)>,
        with_codec: bool,
    ) -> anyhow::Result<Self> {
        let folder = open_folder()?;
        let at = |name: &str| folder.path().join(name);
        let (postgres, redis) = tokio::try_join!(
            Postgres::start(PostgresOptions {
                dir: at("postgres"),
                port: None,
                password: PASSWORD.to_owned(),
                durable: false,
                programs: None,
            }),
            Redis::start(RedisOptions {
                dir: at("redis"),
                port: None,
                password: PASSWORD.to_owned(),
                durable: false,
            }),
        )?;
        let [database_url, codec_database_url] =
            ["auralink_dashboard", "auralink_aic"].map(|login| postgres.url_as(login, PASSWORD, DATABASE));
        psql(&postgres.url("postgres"), &format!("create database {DATABASE}")).await?;
        migrate(&postgres.url(DATABASE), &database_url, &codec_database_url).await?;

        // Without a codec service nothing answers there.
        let mut codec_url = format!("http://127.0.0.1:{}", free_port());
        let mut codec = None;
        if with_codec {
            // Two threads are plenty for one test.
            let few = [("AURA_AIC__WORKERS__THREADS", "2"), ("AURA_AIC__STORE__FLUSH_MS", "500")];
            let few = few.map(|(name, value)| (name, value.to_owned())).to_vec();
            let service = CodecService::start_on(codec_database_url, few).await?;
            codec_url.clone_from(&service.grpc_url);
            sfu.env.insert(0, ("AURA_SFU__AIC__GRPC_URL", codec_url.clone()));
            codec = Some(service);
        }
        let sfu = Sfu::start_with(sfu, &redis.url()).await?;
        let [http, grpc, admin] = [(); 3].map(|()| free_port());
        let url = format!("http://localhost:{http}");
        let mut env = vec![
            ("DATABASE_URL", database_url),
            ("REDIS_URL", redis.url()),
            ("LIVEKIT_KEYS", format!("{}: {}", sfu.key, sfu.secret)),
            ("AURALINK_SERVICE_SECRET", SERVICE_SECRET.to_owned()),
            ("AURALINK_USER_SECRET", USER_SECRET.to_owned()),
            ("AURA_DASHBOARD__HTTP_ADDR", format!("127.0.0.1:{http}")),
            ("AURA_DASHBOARD__GRPC_ADDR", format!("127.0.0.1:{grpc}")),
            ("AURA_DASHBOARD__ADMIN_ADDR", format!("127.0.0.1:{admin}")),
            ("AURA_DASHBOARD__PUBLIC_URL", url.clone()),
            ("AURA_DASHBOARD__SFU__GRPC_URL", sfu.grpc_url.clone()),
            ("AURA_DASHBOARD__SFU__PUBLIC_URL", sfu.url.clone()),
            ("AURA_DASHBOARD__AIC__GRPC_URL", codec_url.clone()),
            ("AURA_DASHBOARD__FILES__DIR", at("files").display().to_string()),
        ];
        env.extend(dashboard_env);
        let dashboard = Service::start("dashboard", env, format!("http://127.0.0.1:{admin}/ready")).await?;
        Ok(Self { sfu, url, codec_url, dashboard, codec, redis, postgres, folder })
    }

    /// A client of the REST API.
    pub fn api(&self) -> Api {
        Api::new(&self.url)
    }

    /// A folder that lasts as long as the stack.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// SIGKILL for the dashboard.
    pub async fn kill_dashboard(&mut self) {
        self.dashboard.kill().await;
    }

    /// Starts the dashboard again.
    pub async fn restart_dashboard(&mut self) -> anyhow::Result<()> {
        self.dashboard.restart().await
    }

    /// SIGTERM for the dashboard.
    pub async fn terminate_dashboard(&mut self) {
        self.dashboard.terminate().await;
    }

    /// A token of the service named, for the others' gRPC.
    pub fn service_token(&self, service: &str) -> String {
        crate::token::service(SERVICE_SECRET, service)
    }

    /// SIGKILL for the codec service.
    ///
    /// # Panics
    /// When the stack was started without one.
    pub async fn kill_codec(&mut self) {
        self.codec.as_mut().expect("started with a codec service").kill().await;
    }

    /// Starts the codec service again.
    ///
    /// # Panics
    /// When the stack was started without one.
    pub async fn restart_codec(&mut self) -> anyhow::Result<()> {
        self.codec.as_mut().expect("started with a codec service").restart().await
    }

    /// SIGKILL for Redis; what it held is gone.
    pub async fn kill_redis(&mut self) {
        self.redis.kill().await;
    }

    /// Starts Redis again, empty.
    pub async fn restart_redis(&mut self) -> anyhow::Result<()> {
        Ok(self.redis.restart().await?)
    }

    /// SIGKILL for PostgreSQL.
    pub async fn kill_postgres(&mut self) {
        self.postgres.kill().await;
    }

    /// Starts PostgreSQL again on its data.
    pub async fn restart_postgres(&mut self) -> anyhow::Result<()> {
        Ok(self.postgres.restart().await?)
    }

    /// Runs SQL as the superuser, past every policy: for what a test wants to know, and to arrange what
    /// would take longer than a test may.
    pub async fn sql(&self, sql: &str) -> anyhow::Result<String> {
        psql(&self.postgres.url(DATABASE), sql).await
    }
}

/// A folder PostgreSQL's account can pass through when the tests run as root.
fn open_folder() -> std::io::Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix("auralink-stack-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
}

/// With the command an operator uses.
async fn migrate(owner_url: &str, dashboard_url: &str, codec_url: &str) -> anyhow::Result<()> {
    let output = Command::new(fixture::binary("auralink")?)
        .args(["migrate", "--owner-url", owner_url])
        .args(["--dashboard-database-url", dashboard_url, "--aic-database-url", codec_url])
        .output()
        .await?;
    if !output.status.success() {
        bail!("auralink migrate: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

async fn psql(url: &str, sql: &str) -> anyhow::Result<String> {
    let psql = find_program("psql").context("psql is not installed; run: make setup")?;
    let output =
        Command::new(psql).args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url]).output().await?;
    if !output.status.success() {
        bail!("{sql}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
