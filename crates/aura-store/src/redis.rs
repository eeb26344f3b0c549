//! Pooled Redis connections for commands. Subscriptions have their own connection, see `bus`.

use std::time::Duration;

use deadpool_redis::{Config, Pool, Runtime};

use crate::StoreError;

/// A pooled connection: pass it to `redis::cmd(…).query_async(&mut connection)`.
pub type RedisConnection = deadpool_redis::Connection;

/// Redis is a hint: waiting long for it is worse than doing without.
const LIMIT: Duration = Duration::from_secs(1);
const MAX_CONNECTIONS: usize = 16;

/// A pool on one Redis. Connects when first used and again after every loss; clones share the pool.
#[derive(Clone)]
pub struct Redis {
    pool: Pool,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("status", &self.pool.status()).finish()
    }
}

impl Redis {
    /// Sets up the pool. Does not connect: a service must start while Redis is away.
    ///
    /// # Errors
    /// [`StoreError::Options`] for a malformed URL.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        let invalid = || StoreError::Options("REDIS_URL is not a Redis URL".to_owned());
        let pool = Config::from_url(url)
            .builder()
            .map_err(|_| invalid())?
            .max_size(MAX_CONNECTIONS)
            .wait_timeout(Some(LIMIT))
            .create_timeout(Some(LIMIT))
            .recycle_timeout(Some(LIMIT))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| invalid())?;
        Ok(Self { pool })
    }

    /// A connection, at most a second after asking.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn conn(&self) -> Result<RedisConnection, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.conn().await?;
        ::redis::cmd("PING").query_async::<String>(&mut connection).await?;
        Ok(())
    }
}
