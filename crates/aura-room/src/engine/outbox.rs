//! Reliable data across a resume: numbering and re-sending upstream, dropping duplicates downstream.
//!
//! SCTP is reliable while the association lives; these numbers cover what a broken connection may have swallowed.
//! The re-send buffer is bounded in bytes, so a very long outage can still lose the oldest packets.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Packets kept for re-sending, in bytes.
const RESEND_BYTES: usize = 1024 * 1024;
/// How long a silent sender's last number is remembered.
const MEMORY: Duration = Duration::from_secs(30);

/// Upstream: numbers packets and keeps the recent ones.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    last: u32,
    kept: VecDeque<(u32, Bytes)>,
    kept_bytes: usize,
}

impl Outbox {
    /// The number for the next packet; the caller writes it into the packet before [`Self::keep`].
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.last += 1;
        self.last
    }

    pub(crate) fn keep(&mut self, sequence: u32, packet: Bytes) {
        self.kept_bytes += packet.len();
        self.kept.push_back((sequence, packet));
        while self.kept_bytes > RESEND_BYTES {
            let Some((_, dropped)) = self.kept.pop_front() else { break };
            self.kept_bytes -= dropped.len();
        }
    }

    /// What the server has not seen, oldest first, after it told us the last number it has.
    pub(crate) fn unseen(&mut self, last_seen: u32) -> Vec<Bytes> {
        while self.kept.front().is_some_and(|(sequence, _)| *sequence <= last_seen) {
            if let Some((_, seen)) = self.kept.pop_front() {
                self.kept_bytes -= seen.len();
            }
        }
        self.kept.iter().map(|(_, packet)| packet.clone()).collect()
    }
}

/// Downstream: knows the last number of every sender.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    last: HashMap<String, (u32, Instant)>,
}

impl Inbox {
    /// Whether this packet is new. Unnumbered packets always are.
    pub(crate) fn accept(&mut self, sender_sid: &str, sequence: u32, now: Instant) -> bool {
        if sequence == 0 || sender_sid.is_empty() {
            return true;
        }
        if let Some((last, seen_at)) = self.last.get_mut(sender_sid) {
            if sequence <= *last {
                return false;
            }
            (*last, *seen_at) = (sequence, now);
            return true;
        }
        self.last.retain(|_, (_, seen_at)| now < *seen_at + MEMORY);
        self.last.insert(sender_sid.to_owned(), (sequence, now));
        true
    }

    /// The last number of every sender, for `sync_state`.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&str, u32)> {
        self.last.iter().map(|(sid, (last, _))| (sid.as_str(), *last))
    }
}

#[cfg(test)]
mod tests {
    use aura_types::{Clock, SystemClock};

    use super::*;

    #[test]
    fn resends_exactly_what_the_server_lacks() {
        let mut outbox = Outbox::default();
        for text in ["one", "two", "three"] {
            let sequence = outbox.next_sequence();
            outbox.keep(sequence, Bytes::from_static(text.as_bytes()));
        }
        assert_eq!(outbox.unseen(1), [Bytes::from_static(b"two"), Bytes::from_static(b"three")]);
        assert_eq!(outbox.unseen(3), Vec::<Bytes>::new());
        assert_eq!(outbox.next_sequence(), 4);
        assert_eq!(outbox.kept_bytes, 0);
    }

    #[test]
    fn the_resend_buffer_is_bounded() {
        let mut outbox = Outbox::default();
        for _ in 0..40 {
            let sequence = outbox.next_sequence();
            outbox.keep(sequence, Bytes::from(vec![0; 60_000]));
        }
        assert!(outbox.kept_bytes <= RESEND_BYTES);
        assert_eq!(outbox.unseen(0).len(), RESEND_BYTES / 60_000);
    }

    #[test]
    fn duplicates_are_dropped_per_sender_and_old_senders_forgotten() {
        let now = SystemClock.monotonic();
        let mut inbox = Inbox::default();
        assert!(inbox.accept("PA_a", 1, now));
        assert!(!inbox.accept("PA_a", 1, now));
        assert!(inbox.accept("PA_b", 1, now));
        assert!(inbox.accept("PA_a", 0, now), "unnumbered");
        let later = now + MEMORY;
        assert!(inbox.accept("PA_c", 9, later));
        assert_eq!(inbox.states().collect::<Vec<_>>(), [("PA_c", 9)]);
    }
}
