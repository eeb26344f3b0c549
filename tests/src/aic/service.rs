//! The aic-codec service alone, as the SFU's edge transcoder: without a database, which it does not need for that.

use aura_local::free_port;

use crate::service::Service;
use crate::sfu::SERVICE_SECRET;

/// A running aic-codec; ends with the value.
pub struct CodecService {
    /// Where the SFU reaches it, http://.
    pub grpc_url: String,
    service: Service,
}

impl CodecService {
    /// Starts it.
    pub async fn start() -> anyhow::Result<Self> {
        let [grpc, admin, nowhere] = [(); 3].map(|()| free_port());
        let env = vec![
            ("DATABASE_URL", format!("postgres://nobody:test@127.0.0.1:{nowhere}/none")),
            ("AURALINK_SERVICE_SECRET", SERVICE_SECRET.to_owned()),
            ("AURA_AIC__GRPC_ADDR", format!("127.0.0.1:{grpc}")),
            ("AURA_AIC__ADMIN_ADDR", format!("127.0.0.1:{admin}")),
        ];
        let ready_url = format!("http://127.0.0.1:{admin}/ready");
        let service = Service::start("aic-codec", env, ready_url).await?;
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
