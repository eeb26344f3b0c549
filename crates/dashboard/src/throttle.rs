//! How often things may be tried: logins per address and account, registrations, link guesses.
//!
//! A password is counted three times: by address, by address and account, and by account. The second is the smallest,
//! so that no one address uses the third up and locks everybody else out; the third bounds what many addresses try
//! together. An address is a block of them (`aura_types::address_block`).
//!
//! Counted in Redis across instances, locally while Redis is away. Keys are hashed, so that no address or account
//! name is written anywhere.

use crate::secret;
use aura_service::error::{Result, ServiceError};
use aura_types::{ErrorCode, Quota, RateLimiter, address_block};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// Tries allowed per minute.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// Logins for one account, and passwords of one share link, from one address.
    pub login_per_account: u32,
    /// The same from all addresses together.
    pub login_per_account_anywhere: u32,
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
        self.check_address("login", address, self.config.login_per_address).await?;
        self.password("account", address, account).await
    }

    /// A share link's password.
    pub(crate) async fn share_password(&self, address: IpAddr, share: Uuid) -> Result<()> {
        self.password("share", address, &share.to_string()).await
    }

    async fn password(&self, what: &'static str, address: IpAddr, of: &str) -> Result<()> {
        let from_here = format!("{} {of}", address_block(address));
        self.check(what, &from_here, self.config.login_per_account).await?;
        self.check(what, of, self.config.login_per_account_anywhere).await
    }

    pub(crate) async fn refresh(&self, address: IpAddr) -> Result<()> {
        self.check_address("login", address, self.config.login_per_address).await
    }

    pub(crate) async fn register(&self, address: IpAddr) -> Result<()> {
        self.check_address("register", address, self.config.register_per_address).await
    }

    pub(crate) async fn link(&self, address: IpAddr) -> Result<()> {
        self.check_address("link", address, self.config.links_per_address).await
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

    async fn check_address(&self, what: &str, address: IpAddr, per_minute: u32) -> Result<()> {
        self.check(what, &address_block(address).to_string(), per_minute).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use aura_service::resilience::LocalRateLimiter;
    use aura_types::SystemClock;

    fn throttle() -> Throttle {
        let config = LimitConfig {
            login_per_account: 3,
            login_per_account_anywhere: 7,
            login_per_address: 5,
            register_per_address: 2,
            links_per_address: 2,
            requests_per_user: 0,
            aic_reports_per_user: 0,
            websocket_per_user: 0,
        };
        Throttle::new(Arc::new(LocalRateLimiter::new(SystemClock::shared())), config)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn one_address_locks_no_account_and_many_do_not_try_for_ever() {
        let throttle = throttle();
        let tries = async |from: &str| {
            let mut allowed = 0;
            while allowed < 100 && throttle.login(address(from), "alice").await.is_ok() {
                allowed += 1;
            }
            allowed
        };
        // However often it tries: what is refused here counts for nobody else.
        assert_eq!([tries("203.0.113.1").await, tries("203.0.113.1").await], [3, 0]);
        assert_eq!(tries("203.0.113.2").await, 3, "everybody else still gets in");
        assert_eq!(tries("203.0.113.3").await, 1, "and all of them together try no more than this");
        assert!(throttle.login(address("203.0.113.4"), "bob").await.is_ok());
    }

    #[tokio::test]
    async fn a_share_links_password_is_counted_alike() {
        let (throttle, share) = (throttle(), Uuid::from_u128(1));
        let mut allowed = [0; 4];
        for (host, allowed) in (1..).zip(&mut allowed) {
            let from = address(&format!("203.0.113.{host}"));
            while *allowed < 100 && throttle.share_password(from, share).await.is_ok() {
                *allowed += 1;
            }
        }
        assert_eq!(allowed, [3, 3, 1, 0]);
    }

    #[tokio::test]
    async fn a_holder_of_many_addresses_is_one() {
        let throttle = throttle();
        assert!(throttle.register(address("2001:db8::1")).await.is_ok());
        assert!(throttle.register(address("2001:db8::2")).await.is_ok());
        assert!(throttle.register(address("2001:db8:0:0:ffff::3")).await.is_err());
        assert!(throttle.register(address("2001:db8:0:1::1")).await.is_ok());
        assert!(throttle.register(address("203.0.113.1")).await.is_ok());
        assert!(throttle.register(address("::ffff:203.0.113.1")).await.is_ok());
        assert!(throttle.register(address("203.0.113.1")).await.is_err());
    }
}
