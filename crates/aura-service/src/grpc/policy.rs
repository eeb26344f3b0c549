//! Which service may call which gRPC service or method. Nothing is allowed that is not written down.

use std::collections::{BTreeMap, BTreeSet};

/// Allowed callers, by what they may call.
#[derive(Debug, Clone, Default)]
pub struct PeerPolicy {
    /// caller → `package.Service` or `package.Service/Method`.
    allowed: BTreeMap<String, BTreeSet<String>>,
}

impl PeerPolicy {
    /// Nobody may call anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `caller` call `target`: a whole service (`auralink.sfu.v1.RoomControl`) or one method of it
    /// (`auralink.sfu.v1.RoomControl/ListRooms`).
    #[must_use]
    pub fn allow(mut self, caller: &str, target: &str) -> Self {
        self.allowed
            .entry(caller.to_owned())
            .or_default()
            .insert(target.trim_start_matches('/').trim_end_matches("/*").to_owned());
        self
    }

    /// Whether `caller` may call `path` (`/package.Service/Method`).
    #[must_use]
    pub fn permits(&self, caller: &str, path: &str) -> bool {
        let Some(targets) = self.allowed.get(caller) else { return false };
        let method = path.trim_start_matches('/');
        let Some((service, name)) = method.split_once('/') else { return false };
        !name.is_empty() && !name.contains('/') && (targets.contains(service) || targets.contains(method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_written_down() {
        let policy = PeerPolicy::new()
            .allow("dashboard", "auralink.sfu.v1.RoomControl")
            .allow("mesh-router", "/auralink.sfu.v1.RoomControl/ListRooms")
            .allow("ai-core", "ai.AICopilot/*");
        let cases = [
            ("dashboard", "/auralink.sfu.v1.RoomControl/DeleteRoom", true),
            ("dashboard", "/auralink.sfu.v1.RoomControlX/DeleteRoom", false),
            ("dashboard", "/auralink.sfu.v1.RoomControl", false),
            ("dashboard", "/auralink.sfu.v1.RoomControl/", false),
            ("dashboard", "/auralink.sfu.v1.RoomControl/a/b", false),
            ("mesh-router", "/auralink.sfu.v1.RoomControl/ListRooms", true),
            ("mesh-router", "/auralink.sfu.v1.RoomControl/DeleteRoom", false),
            ("ai-core", "/ai.AICopilot/Chat", true),
            ("stranger", "/auralink.sfu.v1.RoomControl/ListRooms", false),
        ];
        for (caller, path, expected) in cases {
            assert_eq!(policy.permits(caller, path), expected, "{caller} {path}");
        }
    }
}
