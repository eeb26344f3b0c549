//! The aic-codec service as a process: the SFU's edge transcoder and the dashboard's console.

use aura_local::free_port;

use crate::service::Service;
use crate::sfu::SERVICE_SECRET;

/// A running aic-codec; ends with the value.
pub struct CodecService {
    /// Where the others reach it, http://.
    pub grpc_url: String,
    service: Service,
}

impl CodecService {
    /// Starts it without a database, which it does not need for transcoding.
    pub async fn start() -> anyhow::Result<Self> {
        let nowhere = free_port();
        Self::start_on(format!("postgres://nobody:test@127.0.0.1:{nowhere}/none"), Vec::new()).await
    }

    /// Starts it on its tables in a database, with more settings.
    pub(crate) async fn start_on(
        database_url: String,
        more: Vec<(&'static str, String)>,
    ) -> anyhow::Result<Self> {
        let [grpc, admin] = [(); 2].map(|()| free_port());
        let mut env = vec![
            ("DATABASE_URL", database_url),
            ("AURALINK_SERVICE_SECRET", SERVICE_SECRET.to_owned()),
            ("AURA_AIC__GRPC_ADDR", format!("127.0.0.1:{grpc}")),
            ("AURA_AIC__ADMIN_ADDR", format!("127.0.0.1:{admin}")),
        ];
        env.extend(more);
        let service = Service::start("aic-codec", env, format!("http://127.0.0.1:{admin}/ready")).await?;
        Ok(Self { grpc_url: format!("http://127.0.0.1:{grpc}"), service })
    }

    /// SIGKILL, as a crash would.
    pub async fn kill(&mut self) {
        self.service.kill().await;
    }

    /// Starts it again after `kill`.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.service.restart().await
    }
}
