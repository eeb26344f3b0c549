//! What each service is started with. Pure: options, secrets and addresses in, environments out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::migrate::Logins;
use crate::secrets::Secrets;
use crate::up::options::Options;

/// One child process of the stack.
#[derive(Debug, Clone)]
pub(crate) struct ServicePlan {
    /// Name of the executable and of its log lines.
    pub(crate) name: &'static str,
    /// Added to the environment the supervisor itself has.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Answers 200 once the service and what it needs are up.
    pub(crate) ready_url: String,
}

/// Every service of the stack; they start and stop together and wait for each other by readiness.
pub(crate) fn services(
    options: &Options,
    secrets: &Secrets,
    files: &Path,
    logins: &Logins,
    redis_url: &str,
) -> Vec<ServicePlan> {
    let inside = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port).to_string();
    let outside = |port| SocketAddr::new(options.listen, port).to_string();
    let shared = [
        ("REDIS_URL", redis_url.to_owned()),
        ("LIVEKIT_KEYS", secrets.livekit_keys()),
        ("AURALINK_SERVICE_SECRET", secrets.service_secret.clone()),
    ];
    // A stack for this machine alone opens no port to others.
    let media_bind = if options.node_ips.is_empty() { options.listen } else { Ipv4Addr::UNSPECIFIED.into() };
    let media_ips: Vec<String> = options.media_ips().iter().map(IpAddr::to_string).collect();

    let proxies: Vec<String> = options.trusted_proxies.iter().map(ToString::to_string).collect();
    let proxies = proxies.join(",");

    let mut dashboard = shared.to_vec();
    dashboard.extend([
        ("DATABASE_URL", logins.dashboard.clone()),
        ("AURALINK_USER_SECRET", secrets.user_secret.clone()),
        ("AURA_DASHBOARD__HTTP_ADDR", outside(options.http_port)),
        ("AURA_DASHBOARD__GRPC_ADDR", inside(options.dashboard_grpc_port)),
        ("AURA_DASHBOARD__ADMIN_ADDR", inside(options.dashboard_admin_port)),
        ("AURA_DASHBOARD__PUBLIC_URL", options.public_url()),
        ("AURA_DASHBOARD__TRUSTED_PROXIES", proxies.clone()),
        ("AURA_DASHBOARD__SFU__GRPC_URL", format!("http://{}", inside(options.sfu_grpc_port))),
        ("AURA_DASHBOARD__SFU__PUBLIC_URL", options.sfu_public_url()),
        ("AURA_DASHBOARD__FILES__DIR", files.display().to_string()),
        ("AURA_DASHBOARD__AIC__GRPC_URL", format!("http://{}", inside(options.aic_grpc_port))),
    ]);

    let mut sfu = shared.to_vec();
    sfu.extend([
        ("AURA_SFU__HTTP_ADDR", outside(options.sfu_port)),
        ("AURA_SFU__TRUSTED_PROXIES", proxies),
        ("AURA_SFU__GRPC_ADDR", inside(options.sfu_grpc_port)),
        ("AURA_SFU__ADMIN_ADDR", inside(options.sfu_admin_port)),
        ("AURA_SFU__RTC__UDP_PORT", options.ice_udp_port.to_string()),
        ("AURA_SFU__RTC__TCP_PORT", options.ice_tcp_port.to_string()),
        ("AURA_SFU__RTC__BIND_IP", media_bind.to_string()),
        ("AURA_SFU__RTC__NODE_IPS", media_ips.join(",")),
        ("AURA_SFU__RTC__ENABLE_LOOPBACK_CANDIDATE", "true".to_owned()),
        ("AURA_SFU__AIC__GRPC_URL", format!("http://{}", inside(options.aic_grpc_port))),
    ]);

    let aic = vec![
        ("DATABASE_URL", logins.aic.clone()),
        ("AURALINK_SERVICE_SECRET", secrets.service_secret.clone()),
        ("AURA_AIC__GRPC_ADDR", inside(options.aic_grpc_port)),
        ("AURA_AIC__ADMIN_ADDR", inside(options.aic_admin_port)),
    ];

    let ready = |port| format!("http://{}/ready", inside(port));
    vec![
        ServicePlan { name: "dashboard", env: dashboard, ready_url: ready(options.dashboard_admin_port) },
        ServicePlan { name: "webrtc-sfu", env: sfu, ready_url: ready(options.sfu_admin_port) },
        ServicePlan { name: "aic-codec", env: aic, ready_url: ready(options.aic_admin_port) },
    ]
}
