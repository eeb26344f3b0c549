//! The seal on a session's state while it travels through a caller: HMAC-SHA256 under a key derived from the service
//! secret, with the time it was made. Integrity, not secrecy: the state is what the caller itself sent.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The largest state that is read.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// How long a seal is good for.
pub(crate) const LIFE_MS: i64 = 60_000;
/// Clocks of replicas differ.
const LEEWAY_MS: i64 = 5_000;

const VERSION: u8 = 1;
const HEADER: usize = 9;
const TAG: usize = 32;

/// The sealing key.
#[derive(Clone)]
pub(crate) struct Seal {
    key: [u8; 32],
}

/// Why a sealed state was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("is no sealed state")]
    Malformed,
    #[error("has a wrong seal")]
    Forged,
    #[error("is older than a minute")]
    Expired,
}

impl Seal {
    pub(crate) fn new(service_secret: &str) -> Self {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(service_secret.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(b"auralink aic session state v1");
        Self { key: mac.finalize().into_bytes().into() }
    }

    /// `body`, sealed at `now_ms` (Unix milliseconds).
    pub(crate) fn close(&self, body: &[u8], now_ms: i64) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(HEADER + body.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&now_ms.to_le_bytes());
        sealed.extend_from_slice(body);
        let tag = self.mac(&sealed).finalize().into_bytes();
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// The body of `sealed`, and its tag, which names this very state.
    pub(crate) fn open<'a>(&self, sealed: &'a [u8], now_ms: i64) -> Result<(&'a [u8], [u8; TAG]), SealError> {
        if sealed.len() > MAX_BYTES || sealed.len() < HEADER + TAG || sealed[0] != VERSION {
            return Err(SealError::Malformed);
        }
        let (signed, tag) = sealed.split_at(sealed.len() - TAG);
        self.mac(signed).verify_slice(tag).map_err(|_| SealError::Forged)?;
        let made = i64::from_le_bytes(signed[1..HEADER].try_into().expect("eight bytes"));
        if now_ms.saturating_sub(made) > LIFE_MS || made.saturating_sub(now_ms) > LEEWAY_MS {
            return Err(SealError::Expired);
        }
        Ok((&signed[HEADER..], tag.try_into().expect("TAG bytes")))
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(bytes);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_with_this_secret_lately_opens() {
        let seal = Seal::new("a secret of ours");
        let sealed = seal.close(b"state", 1_000_000);
        assert_eq!(seal.open(&sealed, 1_030_000).map(|(body, _)| body), Ok(&b"state"[..]));
        assert_eq!(seal.open(&sealed, 1_061_000).map(drop), Err(SealError::Expired));
        assert_eq!(seal.open(&sealed, 990_000).map(drop), Err(SealError::Expired), "from the future");
        assert_eq!(Seal::new("another").open(&sealed, 1_000_000).map(drop), Err(SealError::Forged));
        for at in 1..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert_eq!(seal.open(&bent, 1_000_000).map(drop), Err(SealError::Forged), "{at}");
        }
        for length in 0..HEADER + TAG {
            assert_eq!(seal.open(&sealed[..length], 1_000_000).map(drop), Err(SealError::Malformed));
        }
        assert_eq!(seal.open(&vec![1; MAX_BYTES + 1], 0).map(drop), Err(SealError::Malformed));
    }
}
