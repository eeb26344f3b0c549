//! The real codec service as a process, on the tables it keeps in the test's own database.

use crate::stack::SERVICE_SECRET;
use aura_testkit::{Launch, Process, Scratch, TestDatabase, binary, free_tcp_port, workspace_root};
use std::time::Duration;

const READY: Duration = Duration::from_secs(60);

/// Ends with the value, or with the thread it was started from.
pub(crate) struct CodecService {
    launch: Launch,
    process: Process,
    folder: Scratch,
    grpc: u16,
    ready_url: String,
}

impl CodecService {
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        let migrator = sqlx::migrate::Migrator::new(workspace_root().join("migrations/aic"))
            .await
            .expect("the migrations can be read");
        database.migrate("aic", &migrator).await;
        let (grpc, admin) = (free_tcp_port(), free_tcp_port());
        let launch = Launch::new("aic-codec", binary("aic-codec")).envs([
            ("AURALINK_ENV", "development".to_owned()),
            ("LOG_FORMAT", "text".to_owned()),
            ("DATABASE_URL", database.login_url("aic")),
            ("AURALINK_SERVICE_SECRET", SERVICE_SECRET.to_owned()),
            ("AURA_AIC__GRPC_ADDR", format!("127.0.0.1:{grpc}")),
            ("AURA_AIC__ADMIN_ADDR", format!("127.0.0.1:{admin}")),
            ("AURA_AIC__WORKERS__THREADS", "1".to_owned()),
            ("AURA_AIC__MODEL__BACKEND", "native".to_owned()),
        ]);
        let folder = Scratch::new("codec");
        let log = folder.path().join("log");
        let process = launch.clone().spawn(log).expect("the codec service can be started");
        let ready_url = format!("http://127.0.0.1:{admin}/ready");
        let mut service = Self { launch, process, folder, grpc, ready_url };
        service.wait_until_ready().await;
        service
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// SIGKILL, as a crash would.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again after `kill`, on the same port.
    pub(crate) async fn restart(&mut self) {
        let log = self.folder.path().join("log");
        self.process = self.launch.clone().spawn(log).expect("the codec service can be started");
        self.wait_until_ready().await;
    }

    async fn wait_until_ready(&mut self) {
        let url = self.ready_url.clone();
        let answer = || async { reqwest::get(&url).await.is_ok_and(|reply| reply.status().is_success()) };
        if let Err(error) = self.process.ready(READY, answer).await {
            panic!("{error}\n{}", self.process.log_tail(40));
        }
    }
}
