//! A string that never prints itself.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Secrets shorter than this are refused outside development: HS256 wants a key as long as its hash.
pub const MIN_SECRET_BYTES: usize = 32;

/// Words that give away a secret copied from an example.
const SAMPLE_WORDS: [&str; 9] =
    ["changeme", "change-me", "change_me", "example", "sample", "default", "insecure", "password", "devkey"];

/// A secret: wiped on drop, shown as `[redacted]` by `Debug`, `Display` and `Serialize`.
#[derive(Clone, Default)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The secret itself. Call it where it is used, not where it is passed on.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether nothing was configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Why this secret must not be used in production, if it must not.
    ///
    /// A value of `kid:secret` pairs is judged by its weakest part.
    #[must_use]
    pub fn weakness(&self) -> Option<&'static str> {
        let text = self.expose();
        if text.contains(',') || text.contains(':') {
            return text
                .split([',', '\n'])
                .map(|part| part.split_once(':').map_or(part, |(_, secret)| secret).trim())
                .find_map(weakness);
        }
        weakness(text)
    }
}

fn weakness(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("is missing");
    }
    if text.len() < MIN_SECRET_BYTES {
        return Some("is shorter than 32 bytes");
    }
    let lower = text.to_ascii_lowercase();
    if SAMPLE_WORDS.iter().any(|word| lower.contains(word)) {
        return Some("looks like a sample; generate one, for example with `openssl rand -hex 32`");
    }
    let mut bytes = text.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    (bytes.len() < 8).then_some("has too few different characters")
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { "[redacted]" })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints_itself() {
        let secret = Secret::new("c2VjcmV0");
        let shown = format!("{secret} {secret:?} {}", serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("c2VjcmV0"), "{shown}");
    }

    #[test]
    fn weak_secrets_are_named() {
        for weak in [
            "",
            "short",
            "changeme-changeme-changeme-changeme",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "k1:4f1d9c7be2a35f60f1d9c7be2a35f604,k2:short",
        ] {
            assert!(Secret::new(weak).weakness().is_some(), "{weak}");
        }
        for strong in ["4f1d9c7be2a35f60f1d9c7be2a35f604", "k1:4f1d9c7be2a35f60f1d9c7be2a35f604"] {
            assert_eq!(Secret::new(strong).weakness(), None, "{strong}");
        }
    }
}
