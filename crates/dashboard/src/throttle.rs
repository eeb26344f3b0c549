//! How often things may be tried: logins per address and account, registrations, link guesses.
//!
//! Counted in Redis across instances, locally while Redis is away. Keys are hashed, so that no address or account
//! name is written anywhere.

use crate::secret;
use aura_service::error::{Result, ServiceError};
use aura_types::{ErrorCode, Quota, RateLimiter};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// Tries allowed per minute.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// Logins for one account from one address.
    pub login_per_account: u32,
    /// Logins and refreshes from one address.
    pub login_per_address: u32,
    /// New accounts from one address.
    pub register_per_address: u32,
    /// Invitations and shares tried from one address.
    pub links_per_address: u32,
    /// Every other request of one user.
    pub requests_per_user: u32,
    /// Codec usage reports of one user.
    pub aic_reports_per_user: u32,
    /// WebSocket messages of one user.
    pub websocket_per_user: u32,
}

#[derive(Clone)]
pub(crate) struct Throttle {
    limiter: Arc<dyn RateLimiter>,
    config: LimitConfig,
}

impl Throttle {
    pub(crate) fn new(limiter: Arc<dyn RateLimiter>, config: LimitConfig) -> Self {
        Self { limiter, config }
    }

    pub(crate) async fn login(&self, address: IpAddr, account: &str) -> Result<()> {
        self.check("login", &address.to_string(), self.config.login_per_address).await?;
        self.check("account", &format!("{address} {account}"), self.config.login_per_account).await
    }

    pub(crate) async fn refresh(&self, address: IpAddr) -> Result<()> {
        self.check("login", &address.to_string(), self.config.login_per_address).await
    }

    pub(crate) async fn register(&self, address: IpAddr) -> Result<()> {
        self.check("register", &address.to_string(), self.config.register_per_address).await
    }

    pub(crate) async fn link(&self, address: IpAddr) -> Result<()> {
        self.check("link", &address.to_string(), self.config.links_per_address).await
    }

    pub(crate) async fn request(&self, subject: &str) -> Result<()> {
        self.check("request", subject, self.config.requests_per_user).await
    }

    pub(crate) async fn aic_report(&self, subject: &str) -> Result<()> {
        self.check("aic_report", subject, self.config.aic_reports_per_user).await
    }

    pub(crate) async fn websocket_message(&self, subject: &str) -> Result<()> {
        self.check("websocket", subject, self.config.websocket_per_user).await
    }

    async fn check(&self, what: &str, whom: &str, per_minute: u32) -> Result<()> {
        let key = format!("dashboard:{what}:{}", hex::encode(&secret::token_hash(whom)[..12]));
        let decision = self.limiter.check(&key, Quota::per_minute(per_minute)).await;
        if decision.allowed {
            return Ok(());
        }
        metrics::counter!("aura_dashboard_throttled_total", "what" => what.to_owned()).increment(1);
        let error = ServiceError::new(ErrorCode::ResourceExhausted, "too many tries, wait a moment");
        Err(match decision.retry_after {
            Some(after) => error.with_retry_after(after),
            None => error,
        })
    }
}
