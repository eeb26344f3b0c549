//! Who was sent away and may not come back with a token issued before: by room name and identity, not by live room,
//! because a room may end and be opened again while such a token is still good.
//!
//! Bounded: so many identities a room and a node, each for a day. A full list forgets its oldest entry, which it finds
//! by the order in which refusals came: every one has a number, and one that is repeated gets a new one.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Longer than tokens of join services live; who signs longer ones says so again.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
const PER_ROOM: usize = 1_000;
const IN_ALL: usize = 50_000;

#[derive(Debug, Clone, Copy)]
struct Refusal {
    /// Tokens issued (`nbf`, Unix seconds) before this are refused.
    issued_before_s: i64,
    number: u64,
}

/// The refusals of one room.
#[derive(Debug, Default)]
struct Refused {
    by_identity: HashMap<String, Refusal>,
    /// The same, oldest first.
    in_order: BTreeMap<u64, String>,
}

/// The refusals of one shard.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    rooms: HashMap<String, Refused>,
    /// The room of every refusal and when it was said last, oldest first.
    in_order: BTreeMap<u64, (String, Instant)>,
    next_number: u64,
}

impl Refusals {
    /// Refuses the identity's tokens issued before a moment; an earlier refusal that reaches further stands.
    pub(crate) fn refuse(&mut self, room: &str, identity: &str, issued_before_s: i64, now: Instant) {
        let known = self.rooms.get(room).and_then(|room| room.by_identity.get(identity)).copied();
        let issued_before_s =
            known.map_or(issued_before_s, |known| known.issued_before_s.max(issued_before_s));
        self.admit(room, identity);
        let full = self.rooms.get(room).filter(|refused| refused.by_identity.len() >= PER_ROOM);
        self.forget(full.and_then(|refused| refused.in_order.first_key_value()).map(|(number, _)| *number));
        if self.in_order.len() >= IN_ALL {
            self.forget_old(now);
        }
        if self.in_order.len() >= IN_ALL {
            self.forget(self.in_order.first_key_value().map(|(number, _)| *number));
        }
        let number = self.next_number;
        self.next_number += 1;
        self.in_order.insert(number, (room.to_owned(), now));
        let refused = self.rooms.entry(room.to_owned()).or_default();
        refused.in_order.insert(number, identity.to_owned());
        refused.by_identity.insert(identity.to_owned(), Refusal { issued_before_s, number });
    }

    /// Takes a refusal back.
    pub(crate) fn admit(&mut self, room: &str, identity: &str) {
        let refusal = self.rooms.get(room).and_then(|room| room.by_identity.get(identity));
        self.forget(refusal.map(|refusal| refusal.number));
    }

    /// Whether a token issued then is refused.
    pub(crate) fn refuses(&self, room: &str, identity: &str, issued_s: i64) -> bool {
        let refusal = self.rooms.get(room).and_then(|room| room.by_identity.get(identity));
        refusal.is_some_and(|refusal| issued_s < refusal.issued_before_s)
    }

    /// Forgets what no token can be old enough for. Call now and then.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        while let Some((number, (_, since))) = self.in_order.first_key_value()
            && now.duration_since(*since) >= KEPT
        {
            self.forget(Some(*number));
        }
    }

    fn forget(&mut self, number: Option<u64>) {
        let Some(number) = number else { return };
        let Some((room, _)) = self.in_order.remove(&number) else { return };
        let Some(refused) = self.rooms.get_mut(&room) else { return };
        if let Some(identity) = refused.in_order.remove(&number) {
            refused.by_identity.remove(&identity);
        }
        if refused.by_identity.is_empty() {
            self.rooms.remove(&room);
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
        assert_eq!((refusals.in_order.len(), refusals.rooms.len()), (0, 0));
    }

    #[test]
    fn the_lists_are_bounded_and_the_oldest_goes_first() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let at = |ms: usize| start + Duration::from_millis(ms as u64);
        for index in 0..=PER_ROOM {
            refusals.refuse("hall", &format!("eve-{index}"), 1, at(index));
        }
        assert_eq!(refusals.in_order.len(), PER_ROOM);
        assert!(!refusals.refuses("hall", "eve-0", 0) && refusals.refuses("hall", "eve-1", 0));
        let mut refusals = Refusals::default();
        for room in 0..IN_ALL / PER_ROOM {
            for index in 0..PER_ROOM {
                refusals.refuse(&format!("room-{room}"), &format!("eve-{index}"), 1, at(room));
            }
        }
        refusals.refuse("one more", "eve", 1, at(5_000));
        assert_eq!(
            (refusals.in_order.len(), refusals.rooms["room-0"].by_identity.len()),
            (IN_ALL, PER_ROOM - 1)
        );
        assert!(refusals.refuses("one more", "eve", 0));
        refusals.forget_old(at(5_000) + KEPT);
        assert_eq!((refusals.in_order.len(), refusals.rooms.len()), (0, 0));
    }

    #[test]
    fn one_that_is_said_again_is_new_again() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        for index in 0..PER_ROOM {
            refusals.refuse("hall", &format!("eve-{index}"), 1, start);
        }
        refusals.refuse("hall", "eve-0", 1, start + KEPT / 2);
        refusals.refuse("hall", "one more", 1, start + KEPT / 2);
        assert!(refusals.refuses("hall", "eve-0", 0) && !refusals.refuses("hall", "eve-1", 0));
        refusals.forget_old(start + KEPT);
        assert_eq!(refusals.in_order.len(), 2, "those said later");
        assert!(refusals.refuses("hall", "eve-0", 0));
    }

    #[test]
    fn a_full_list_takes_many_more_without_being_read_through_for_each() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        for index in 0..IN_ALL {
            refusals.refuse(&format!("room-{}", index % 100), &index.to_string(), 1, now);
        }
        // Read through, the list would be looked at thousands of millions of times.
        for index in 0..IN_ALL {
            refusals.refuse(&format!("another-{index}"), "eve", 1, now);
            let oldest = format!("room-{}", index % 100);
            assert!(!refusals.refuses(&oldest, &index.to_string(), 0), "{index} goes first");
        }
        assert_eq!((refusals.in_order.len(), refusals.rooms.len()), (IN_ALL, IN_ALL));
        assert!(refusals.refuses("another-0", "eve", 0));
    }
}
