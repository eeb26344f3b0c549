//! `key: secret` pairs, as LiveKit deployments write them in `LIVEKIT_KEYS`.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Secret;

/// API keys and their secrets, in the order written. The first signs; all verify.
#[derive(Debug, Clone, Default)]
pub struct LivekitKeys(Vec<(String, Secret)>);

impl LivekitKeys {
    /// Parses `key: secret` pairs separated by commas or line ends.
    ///
    /// # Errors
    /// A message that names the pair by its position, never by its content.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse_pairs(text).map(Self)
    }

    /// The pair that signs.
    #[must_use]
    pub fn first(&self) -> Option<(&str, &Secret)> {
        self.0.first().map(|(key, secret)| (key.as_str(), secret))
    }

    /// The secret of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Secret> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, secret)| secret)
    }

    /// Every pair.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(key, secret)| (key.as_str(), secret))
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Parses `name: secret` pairs separated by commas or line ends. Names are unique.
///
/// # Errors
/// A message that names the pair by its position, never by its content.
pub fn parse_pairs(text: &str) -> Result<Vec<(String, Secret)>, String> {
    let mut pairs: Vec<(String, Secret)> = Vec::new();
    let parts = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
    for (index, part) in parts.enumerate() {
        let position = index + 1;
        let (name, secret) = part
            .split_once(':')
            .map(|(name, secret)| (name.trim(), secret.trim()))
            .filter(|(name, secret)| !name.is_empty() && !secret.is_empty())
            .ok_or_else(|| format!("pair {position} is not of the form `name: secret`"))?;
        if pairs.iter().any(|(known, _)| known == name) {
            return Err(format!("pair {position} repeats a name"));
        }
        pairs.push((name.to_owned(), Secret::new(secret)));
    }
    Ok(pairs)
}

impl Serialize for LivekitKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, secret) in &self.0 {
            map.serialize_entry(key, secret)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for LivekitKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = LivekitKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`key: secret` pairs or a table of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<LivekitKeys, E> {
                LivekitKeys::parse(text).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LivekitKeys, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, secret)) = map.next_entry::<String, Secret>()? {
                    if secret.is_empty() {
                        return Err(A::Error::custom("a key has no secret"));
                    }
                    pairs.push((key, secret));
                }
                Ok(LivekitKeys(pairs))
            }
        }

        deserializer.deserialize_any(Keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators_and_order() {
        let keys = LivekitKeys::parse("b: two,\n a:one\n").unwrap();
        assert_eq!(keys.first().map(|(key, secret)| (key, secret.expose())), Some(("b", "two")));
        assert_eq!(keys.get("a").map(Secret::expose), Some("one"));
        assert!(keys.get("c").is_none());
        assert!(LivekitKeys::parse("").unwrap().is_empty());
    }

    #[test]
    fn faults_do_not_show_secrets() {
        for bad in ["keyonly", "a: x, b:", "a: hidden, a: other", ": hidden"] {
            let message = LivekitKeys::parse(bad).unwrap_err();
            assert!(!message.contains("hidden"), "{message}");
        }
    }
}
