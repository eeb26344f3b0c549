//! How often things may be tried: logins per address and account, registrations, link guesses.
//!
//! An address is a block of them (`aura_types::address_block`). Who has IPv6 often has many such blocks, so the site they
//! belong to is counted beside them, and may try twice as much: neighbours may share it.
//!
//! A password is counted by address and account, and by account. The first is the smaller, so that no one address uses the
//! second up; the second bounds what many addresses try together. It has two halves, because whoever has many addresses
//! uses a common one up for good, and locks the owner out: one half is for the first few tries of an address in an hour
//! (`Throttle::is_newcomer`), the other for all tries. An address that goes on trying reaches the second half only, and
//! whoever comes from anywhere else finds the first. To keep both empty takes new addresses all the time, ten a minute by
//! default; while that lasts nobody logs in anew, whoever is logged in stays, and guesses are as limited as ever.
//!
//! Counted in Redis across instances, locally while Redis is away. Keys are hashed, so that no address or account
//! name is written anywhere.

use crate::secret;
use aura_service::error::{Result, ServiceError};
use aura_types::{Decision, ErrorCode, Quota, RateLimiter, address_block, site_block};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// How much more a site of many blocks may try than one block.
const SITE_FACTOR: u32 = 2;
/// An address's first tries of one account, and how long until there are as many again.
const FIRST_TRIES: u32 = 3;
const FIRST_TRIES_AGAIN_S: f64 = 3_600.0;

/// Tries allowed per minute.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// Logins for one account, and passwords of one share link, from one address.
    pub login_per_account: u32,
    /// The same from all addresses together; half of it is for the first tries of an address.
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
        for (block, factor) in blocks(address) {
            self.check(what, &format!("{block} {of}"), self.config.login_per_account.saturating_mul(factor))
                .await?;
        }
        let for_newcomers = self.config.login_per_account_anywhere / 2;
        if self.is_newcomer(what, address, of).await
            && self.take(what, &format!("first {of}"), Quota::per_minute(for_newcomers)).await.allowed
        {
            return Ok(());
        }
        self.check(what, of, self.config.login_per_account_anywhere - for_newcomers).await
    }

    /// Whether an address has hardly tried this account lately. A whole site is one address here.
    async fn is_newcomer(&self, what: &str, address: IpAddr, of: &str) -> bool {
        let widest = site_block(address).unwrap_or_else(|| address_block(address));
        let few = Quota { burst: FIRST_TRIES, refill_per_s: f64::from(FIRST_TRIES) / FIRST_TRIES_AGAIN_S };
        self.take(what, &format!("new {widest} {of}"), few).await.allowed
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
        for (block, factor) in blocks(address) {
            self.check(what, &block, per_minute.saturating_mul(factor)).await?;
        }
        Ok(())
    }

    async fn check(&self, what: &str, whom: &str, per_minute: u32) -> Result<()> {
        let decision = self.take(what, whom, Quota::per_minute(per_minute)).await;
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

    async fn take(&self, what: &str, whom: &str, quota: Quota) -> Decision {
        let key = format!("dashboard:{what}:{}", hex::encode(&secret::token_hash(whom)[..12]));
        self.limiter.check(&key, quota).await
    }
}

/// Whom an address stands for, the smallest first, and how many times a limit each may use.
fn blocks(address: IpAddr) -> impl Iterator<Item = (String, u32)> {
    let site = site_block(address).map(|site| (format!("site {site}"), SITE_FACTOR));
    std::iter::once((address_block(address).to_string(), 1)).chain(site)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aura_service::resilience::LocalRateLimiter;
    use aura_types::{ManualClock, SharedClock, SystemClock};
    use std::time::Duration;

    fn throttle() -> Throttle {
        throttle_on(SystemClock::shared())
    }

    fn throttle_on(clock: SharedClock) -> Throttle {
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
        Throttle::new(Arc::new(LocalRateLimiter::new(clock)), config)
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
    async fn a_site_of_many_blocks_is_not_many_addresses() {
        let throttle = throttle();
        let mut allowed = 0;
        for block in 0..1_000 {
            let from = address(&format!("2001:db8:1:{block:x}::1"));
            allowed += u32::from(throttle.share_password(from, Uuid::from_u128(1)).await.is_ok());
        }
        assert_eq!(allowed, 6, "twice what one block may");
        for block in 0..1_000 {
            let from = address(&format!("2001:db8:1:{block:x}::1"));
            allowed += u32::from(throttle.register(from).await.is_ok());
        }
        assert_eq!(allowed, 6 + 4);
        assert!(throttle.share_password(address("2001:db8:2::1"), Uuid::from_u128(1)).await.is_ok());
    }

    #[tokio::test]
    async fn whoever_goes_on_guessing_from_many_addresses_locks_nobody_out() {
        let clock = ManualClock::new(SystemClock::shared().now());
        let throttle = throttle_on(clock.shared());
        let (mut guesses, mut waited) = (0, 0);
        for minute in 0..120 {
            // Ten addresses and ten sites, each as often as it may.
            for host in 0..10 {
                let v4 = address(&format!("203.0.113.{host}"));
                let v6 = address(&format!("2001:db8:{host:x}:{minute:x}::1"));
                for from in [v4, v6] {
                    while throttle.login(from, "alice").await.is_ok() {
                        guesses += 1;
                    }
                }
            }
            // After a moment each has had its first tries; when they have new ones, somebody new waits a minute.
            let home = address(&format!("198.51.{}.{}", minute / 20, minute % 20));
            waited = if throttle.login(home, "alice").await.is_ok() { 0 } else { waited + 1 };
            assert!(minute < 4 || waited <= 1, "minute {minute}");
            clock.advance(Duration::from_secs(60));
        }
        assert!(guesses <= 121 * 7, "{guesses} guesses, of 7 a minute");
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
