//! A `webrtc-sfu` with its own Redis: all that the protocol tests need.
//!
//! With AURALINK_TEST_SFU ("ws://HOST:PORT KEY SECRET") the protocol tests use a server that is already up; tests
//! that stop their server or choose its transports cannot.

use std::env;

use anyhow::{Context, bail};
use aura_local::{Redis, RedisOptions, free_port, free_ports};
use serde_json::json;
use tempfile::TempDir;

use crate::service::Service;
use crate::token;

const KEY: &str = "APItesttesttest";
const SECRET: &str = "a-secret-only-tests-use-0123456789abcdef";
pub(crate) const SERVICE_SECRET: &str = "a-service-secret-only-tests-use-0123456789";
/// Media threads, whatever the machine has: each takes a UDP port, and only so many are kept free.
const SHARDS: u16 = 2;

/// How the SFU under test differs from its defaults.
#[derive(Debug, Clone, Default)]
pub struct SfuOptions {
    /// Offer no UDP: media must take ICE-TCP.
    pub tcp_only: bool,
    /// More configuration, as environment.
    pub env: Vec<(&'static str, String)>,
}

/// An SFU, ours or one that is already up.
pub struct Sfu {
    /// Signalling address, ws://.
    pub url: String,
    /// API key.
    pub key: String,
    /// API secret.
    pub secret: String,
    /// Internal gRPC address, http://.
    pub grpc_url: String,
    /// First UDP media port; 0 when unknown.
    pub udp_port: u16,
    own: Option<Service>,
    _redis: Option<(Redis, TempDir)>,
}

impl Sfu {
    /// Starts an SFU and a Redis for it.
    pub async fn start(options: SfuOptions) -> anyhow::Result<Self> {
        if let Ok(external) = env::var("AURALINK_TEST_SFU") {
            return Self::external(&external);
        }
        let folder = tempfile::tempdir()?;
        let redis = Redis::start(RedisOptions {
            dir: folder.path().to_owned(),
            port: None,
            password: "test".to_owned(),
            durable: false,
        })
        .await?;
        let mut sfu = Self::start_with(options, &redis.url()).await?;
        sfu._redis = Some((redis, folder));
        Ok(sfu)
    }

    /// Starts an SFU on somebody else's Redis.
    pub async fn start_with(options: SfuOptions, redis_url: &str) -> anyhow::Result<Self> {
        let [http, tcp, grpc, admin] = [(); 4].map(|()| free_port());
        let udp = free_ports(SHARDS);
        let loopback = |port: u16| format!("127.0.0.1:{port}");
        let mut env = vec![
            ("REDIS_URL", redis_url.to_owned()),
            ("LIVEKIT_KEYS", format!("{KEY}: {SECRET}")),
            ("AURALINK_SERVICE_SECRET", SERVICE_SECRET.to_owned()),
            ("AURA_SFU__HTTP_ADDR", loopback(http)),
            ("AURA_SFU__GRPC_ADDR", loopback(grpc)),
            ("AURA_SFU__ADMIN_ADDR", loopback(admin)),
            ("AURA_SFU__RTC__SHARDS", SHARDS.to_string()),
            ("AURA_SFU__RTC__UDP_PORT", udp.to_string()),
            ("AURA_SFU__RTC__UDP_ENABLED", (!options.tcp_only).to_string()),
            ("AURA_SFU__RTC__TCP_PORT", tcp.to_string()),
            ("AURA_SFU__RTC__NODE_IPS", "127.0.0.1".to_owned()),
            ("AURA_SFU__RTC__ENABLE_LOOPBACK_CANDIDATE", "true".to_owned()),
        ];
        env.extend(options.env);
        let ready_url = format!("http://{}/ready", loopback(admin));
        Ok(Self {
            url: format!("ws://{}", loopback(http)),
            key: KEY.to_owned(),
            secret: SECRET.to_owned(),
            grpc_url: format!("http://{}", loopback(grpc)),
            udp_port: udp,
            own: Some(Service::start("webrtc-sfu", env, ready_url).await?),
            _redis: None,
        })
    }

    fn external(description: &str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = description.split_whitespace().collect();
        let [url, key, secret] = parts[..] else {
            bail!("AURALINK_TEST_SFU is \"ws://HOST:PORT KEY SECRET\"")
        };
        Ok(Self {
            url: url.to_owned(),
            key: key.to_owned(),
            secret: secret.to_owned(),
            grpc_url: String::new(),
            udp_port: 0,
            own: None,
            _redis: None,
        })
    }

    /// The API's address: signalling and API share a port.
    pub fn http_url(&self) -> String {
        self.url.replacen("ws", "http", 1)
    }

    /// A token that lets `identity` into `room`.
    pub fn join_token(&self, identity: &str, room: &str) -> String {
        token::join(&self.key, &self.secret, identity, room)
    }

    /// A token for the server API over `room`.
    pub fn admin_token(&self, room: &str) -> String {
        let video = json!({ "roomAdmin": true, "roomCreate": true, "roomList": true, "room": room });
        token::sign(&self.key, &self.secret, "admin", video)
    }

    /// Its process id, while it is ours and runs.
    pub fn pid(&self) -> Option<u32> {
        self.own.as_ref()?.pid()
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.own.as_mut().is_none_or(Service::is_alive)
    }

    /// SIGKILL, as a crash would.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.service()?.kill().await;
        Ok(())
    }

    /// Starts it again after `kill`.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.service()?.restart().await
    }

    /// SIGTERM, and waits for the end.
    pub async fn terminate(&mut self) -> anyhow::Result<()> {
        self.service()?.terminate().await;
        Ok(())
    }

    fn service(&mut self) -> anyhow::Result<&mut Service> {
        self.own.as_mut().context("a server that was already up is not ours to stop")
    }
}
