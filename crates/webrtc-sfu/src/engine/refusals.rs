//! Who was sent away and may not come back with a token issued before: by room name and identity, not by live room,
//! because a room may end and be opened again while such a token is still good.
//!
//! Bounded: so many identities a room and a node, each for a day. A full list forgets its oldest entry.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Longer than tokens of join services live; who signs longer ones says so again.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
const PER_ROOM: usize = 1_000;
const IN_ALL: usize = 50_000;

#[derive(Debug, Clone, Copy)]
struct Refusal {
    /// Tokens issued (`nbf`, Unix seconds) before this are refused.
    issued_before_s: i64,
    since: Instant,
}

/// The refusals of one shard.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    rooms: HashMap<String, HashMap<String, Refusal>>,
    count: usize,
}

impl Refusals {
    /// Refuses the identity's tokens issued before a moment; an earlier refusal that reaches further stands.
    pub(crate) fn refuse(&mut self, room: &str, identity: &str, issued_before_s: i64, now: Instant) {
        if let Some(known) = self.rooms.get_mut(room).and_then(|room| room.get_mut(identity)) {
            known.issued_before_s = known.issued_before_s.max(issued_before_s);
            known.since = now;
            return;
        }
        if self.rooms.get(room).is_some_and(|refused| refused.len() >= PER_ROOM) {
            self.forget_oldest(Some(room));
        }
        if self.count >= IN_ALL {
            self.forget_old(now);
        }
        if self.count >= IN_ALL {
            self.forget_oldest(None);
        }
        let refusal = Refusal { issued_before_s, since: now };
        self.rooms.entry(room.to_owned()).or_default().insert(identity.to_owned(), refusal);
        self.count += 1;
    }

    /// Takes a refusal back.
    pub(crate) fn admit(&mut self, room: &str, identity: &str) {
        let Some(refused) = self.rooms.get_mut(room) else { return };
        self.count -= usize::from(refused.remove(identity).is_some());
        if refused.is_empty() {
            self.rooms.remove(room);
        }
    }

    /// Whether a token issued then is refused.
    pub(crate) fn refuses(&self, room: &str, identity: &str, issued_s: i64) -> bool {
        let refusal = self.rooms.get(room).and_then(|room| room.get(identity));
        refusal.is_some_and(|refusal| issued_s < refusal.issued_before_s)
    }

    /// Forgets what no token can be old enough for. Call now and then.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        self.rooms.retain(|_, refused| {
            refused.retain(|_, refusal| now.duration_since(refusal.since) < KEPT);
            !refused.is_empty()
        });
        self.count = self.rooms.values().map(HashMap::len).sum();
    }

    fn forget_oldest(&mut self, within: Option<&str>) {
        let oldest = self
            .rooms
            .iter()
            .filter(|(room, _)| within.is_none_or(|within| within == room.as_str()))
            .flat_map(|(room, refused)| refused.iter().map(move |(who, refusal)| (refusal.since, room, who)))
            .min()
            .map(|(_, room, identity)| (room.clone(), identity.clone()));
        if let Some((room, identity)) = oldest {
            self.admit(&room, &identity);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    #[test]
    fn older_tokens_are_refused_and_newer_ones_are_not() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        refusals.refuse("hall", "eve", 100, now);
        refusals.refuse("hall", "eve", 50, now);
        assert!(refusals.refuses("hall", "eve", 99), "the refusal that reaches further stands");
        assert!(!refusals.refuses("hall", "eve", 100));
        assert!(!refusals.refuses("hall", "alice", 0) && !refusals.refuses("lobby", "eve", 0));
        refusals.admit("hall", "eve");
        assert!(!refusals.refuses("hall", "eve", 0));
        assert_eq!((refusals.count, refusals.rooms.len()), (0, 0));
    }

    #[test]
    fn the_lists_are_bounded_and_the_oldest_goes_first() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let at = |ms: usize| start + Duration::from_millis(ms as u64);
        for index in 0..=PER_ROOM {
            refusals.refuse("hall", &format!("eve-{index}"), 1, at(index));
        }
        assert_eq!(refusals.count, PER_ROOM);
        assert!(!refusals.refuses("hall", "eve-0", 0) && refusals.refuses("hall", "eve-1", 0));
        let mut refusals = Refusals::default();
        for room in 0..IN_ALL / PER_ROOM {
            for index in 0..PER_ROOM {
                refusals.refuse(&format!("room-{room}"), &format!("eve-{index}"), 1, at(room));
            }
        }
        refusals.refuse("one more", "eve", 1, at(5_000));
        assert_eq!((refusals.count, refusals.rooms["room-0"].len()), (IN_ALL, PER_ROOM - 1));
        assert!(refusals.refuses("one more", "eve", 0));
        refusals.forget_old(at(5_000) + KEPT);
        assert_eq!((refusals.count, refusals.rooms.len()), (0, 0));
    }
}
