//! When to send the next offer of a connection we offer for.
//!
//! One offer at a time. Whatever changes meanwhile is coalesced into one more offer after the answer.

use std::time::{Duration, Instant};

/// How long the server may take to answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// An offer to make now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OfferPlan {
    pub(crate) id: u32,
    pub(crate) ice_restart: bool,
}

#[derive(Debug, Default)]
pub(crate) struct OfferQueue {
    needed: bool,
    restart: bool,
    in_flight: Option<(u32, Instant)>,
    last_id: u32,
}

impl OfferQueue {
    pub(crate) fn request(&mut self) {
        self.needed = true;
    }

    /// Asks for an offer with new ICE credentials. An unanswered offer is forgotten: its answer died with the old
    /// signalling connection.
    pub(crate) fn request_restart(&mut self) {
        self.in_flight = None;
        self.needed = true;
        self.restart = true;
    }

    /// The offer to make now, if any.
    pub(crate) fn start(&mut self, now: Instant) -> Option<OfferPlan> {
        if !self.needed || self.in_flight.is_some() {
            return None;
        }
        self.needed = false;
        self.last_id = self.last_id.wrapping_add(1).max(1);
        self.in_flight = Some((self.last_id, now));
        Some(OfferPlan { id: self.last_id, ice_restart: std::mem::take(&mut self.restart) })
    }

    /// Whether this answer belongs to the offer in flight; if so the next offer may start. Old servers answer id 0.
    pub(crate) fn answered(&mut self, id: u32) -> bool {
        let Some((expected, _)) = self.in_flight else { return false };
        if id != 0 && id != expected {
            return false;
        }
        self.in_flight = None;
        true
    }

    /// When the offer in flight counts as lost.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.in_flight.map(|(_, sent_at)| sent_at + ANSWER_TIMEOUT)
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.needed && self.in_flight.is_none()
    }

    /// Whether anything was ever negotiated on this connection.
    pub(crate) fn has_negotiated(&self) -> bool {
        self.last_id > 0
    }
}

#[cfg(test)]
mod tests {
    use aura_types::{Clock, SystemClock};

    use super::*;

    #[test]
    fn changes_during_an_offer_become_one_more_offer() {
        let now = SystemClock.monotonic();
        let mut queue = OfferQueue::default();
        assert_eq!(queue.start(now), None);
        queue.request();
        assert_eq!(queue.start(now), Some(OfferPlan { id: 1, ice_restart: false }));
        queue.request();
        queue.request();
        assert_eq!(queue.start(now), None, "one offer at a time");
        assert!(!queue.answered(7), "an answer to something else");
        assert!(queue.answered(1));
        assert_eq!(queue.start(now), Some(OfferPlan { id: 2, ice_restart: false }));
        assert!(queue.answered(0), "servers that do not number their answers");
        assert!(queue.is_idle());
    }

    #[test]
    fn a_restart_overtakes_the_offer_in_flight() {
        let now = SystemClock.monotonic();
        let mut queue = OfferQueue::default();
        queue.request();
        queue.start(now);
        queue.request_restart();
        assert_eq!(queue.start(now), Some(OfferPlan { id: 2, ice_restart: true }));
        assert!(!queue.answered(1), "the old answer must not be applied");
        assert_eq!(queue.deadline(), Some(now + ANSWER_TIMEOUT));
    }
}
