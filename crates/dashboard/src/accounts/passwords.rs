//! Argon2id on a bounded pool: hashing costs memory and a core, so only a few run at once and few may wait.
//!
//! `verify` costs the same whether or not the account exists, and says when a hash was made with older parameters.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use aura_types::{Coded, ErrorCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Cost of one hash and size of the pool.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordConfig {
    pub memory_kib: u32,
    pub iterations: u32,
    pub lanes: u32,
    /// Hashes computed at the same time.
    pub workers: usize,
    /// Hashes that may wait for a worker; more are refused with `resource_exhausted`.
    pub max_waiting: usize,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("too many logins at once, try again in a moment")]
    Busy,
    #[error("password hashing failed: {0}")]
    Hash(String),
    #[error("the password pool stopped")]
    Stopped,
}

impl Coded for PasswordError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Busy => ErrorCode::ResourceExhausted,
            Self::Hash(_) => ErrorCode::Internal,
            Self::Stopped => ErrorCode::Unavailable,
        }
    }

    fn safe_message(&self) -> String {
        match self {
            Self::Busy => self.to_string(),
            Self::Hash(_) | Self::Stopped => "the password could not be checked".to_owned(),
        }
    }
}

/// What comparing a password with a stored hash showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) matches: bool,
    /// The hash should be replaced: it was made with other parameters than today's.
    pub(crate) outdated: bool,
}

#[derive(Clone)]
pub(crate) struct Passwords(Arc<Pool>);

struct Pool {
    params: Params,
    working: Semaphore,
    admitted: Semaphore,
    /// Hash of a random password with today's parameters: what unknown accounts are compared with.
    decoy: String,
}

impl Passwords {
    pub(crate) fn new(config: PasswordConfig) -> Result<Self, PasswordError> {
        let params = Params::new(config.memory_kib, config.iterations, config.lanes, None)
            .map_err(|error| PasswordError::Hash(error.to_string()))?;
        let decoy = hash(&params, &crate::secret::random_token())?;
        Ok(Self(Arc::new(Pool {
            params,
            working: Semaphore::new(config.workers.max(1)),
            admitted: Semaphore::new(config.workers.max(1) + config.max_waiting),
            decoy,
        })))
    }

    pub(crate) async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.run(move |pool| hash(&pool.params, &password)).await
    }

    /// Compares with `stored`, or at the same cost with nothing when the account is unknown.
    pub(crate) async fn verify(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<Verdict, PasswordError> {
        self.run(move |pool| {
            let known = stored.is_some();
            let text = stored.unwrap_or_else(|| pool.decoy.clone());
            let parsed = PasswordHash::new(&text).map_err(|error| PasswordError::Hash(error.to_string()))?;
            let matches = argon2(&pool.params).verify_password(password.as_bytes(), &parsed).is_ok();
            let outdated = Params::try_from(&parsed).map_or(true, |params| {
                (params.m_cost(), params.t_cost(), params.p_cost())
                    != (pool.params.m_cost(), pool.params.t_cost(), pool.params.p_cost())
            });
            Ok(Verdict { matches: matches && known, outdated })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Pool) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _admitted = self.0.admitted.try_acquire().map_err(|_| PasswordError::Busy)?;
        let _working = self.0.working.acquire().await.map_err(|_| PasswordError::Stopped)?;
        let pool = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&pool)).await.map_err(|_| PasswordError::Stopped)?
    }
}

fn argon2(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

fn hash(params: &Params, password: &str) -> Result<String, PasswordError> {
    let hash: PasswordHash = argon2(params)
        .hash_password(password.as_bytes())
        .map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: PasswordConfig =
        PasswordConfig { memory_kib: 64, iterations: 1, lanes: 1, workers: 1, max_waiting: 1 };

    #[tokio::test]
    async fn only_the_right_password_of_a_known_account_matches() {
        let passwords = Passwords::new(CHEAP).unwrap();
        let stored = passwords.hash("correct horse".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        let verdict = async |password: &str, hash: Option<&str>| {
            passwords.verify(password.to_owned(), hash.map(str::to_owned)).await.unwrap().matches
        };
        assert!(verdict("correct horse", Some(&stored)).await);
        assert!(!verdict("correct horsf", Some(&stored)).await);
        assert!(!verdict("correct horse", None).await);
    }

    #[tokio::test]
    async fn hashes_with_other_parameters_are_outdated() {
        let old = Passwords::new(CHEAP).unwrap().hash("correct horse".into()).await.unwrap();
        let now = Passwords::new(PasswordConfig { iterations: 2, ..CHEAP }).unwrap();
        assert_eq!(
            now.verify("correct horse".into(), Some(old)).await.unwrap(),
            Verdict { matches: true, outdated: true }
        );
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_is_refused_at_once() {
        let passwords = Passwords::new(CHEAP).unwrap();
        let _running = passwords.0.admitted.try_acquire_many(2).unwrap();
        assert!(matches!(passwords.hash("x".into()).await, Err(PasswordError::Busy)));
    }
}
