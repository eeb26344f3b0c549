//! Opaque tokens for links and refresh: 256 random bits, shown once, stored as a hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng as _;
use sha2::{Digest as _, Sha256};

/// A new token, 43 URL-safe characters.
pub(crate) fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(random_seed())
}

/// What is stored of a token. Unsalted on purpose: the token itself is random, and lookups go by the hash.
pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The token that follows `token`: the same one whenever it is asked for, by nobody without both the token and
/// the seed. The seed is stored beside the token's hash, so the database alone tells no token.
pub(crate) fn successor(token: &str, seed: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::new().chain_update(seed).chain_update(token.as_bytes()).finalize())
}

pub(crate) fn random_seed() -> [u8; 32] {
    let mut seed = [0u8; 32];
    rand::rng().fill_bytes(&mut seed);
    seed
}

pub(crate) fn random_number() -> u32 {
    rand::rng().next_u32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_unlike() {
        let (a, b) = (random_token(), random_token());
        assert_eq!(a.len(), 43);
        assert_ne!(a, b);
        assert_ne!(token_hash(&a), token_hash(&b));
    }

    #[test]
    fn a_token_has_one_successor_per_seed() {
        let (token, seed) = (random_token(), random_seed());
        assert_eq!(successor(&token, &seed), successor(&token, &seed));
        assert_eq!(successor(&token, &seed).len(), 43);
        assert_ne!(successor(&token, &seed), successor(&random_token(), &seed));
        assert_ne!(successor(&token, &seed), successor(&token, &random_seed()));
    }
}
