//! Telling many: one message with a list of whom it goes to, and how much of that one participant may cause.
//!
//! A change is announced as the participant's whole state, so what a participant causes is counted in bytes. Whoever
//! changes more than its allowance is announced later, with what is true then: others miss only steps in between.
//! There is one allowance for all connections of one token, and it outlasts them. Time comes with the room's tick.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aura_types::ParticipantSid;
use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_response::Message;

use super::participant::Participant;
use super::room::Room;
use super::{Output, limit};

/// What one token's bearer may have announced at once.
const BURST_BYTES: i64 = 512 * 1024;
/// And on average.
const BYTES_PER_S: i64 = 64 * 1024;

/// What is left of an allowance. The last announcement may overdraw it: the next waits until that is paid for.
#[derive(Debug)]
struct Allowance {
    left: i64,
    refilled_at: Option<Instant>,
}

/// Those of a room, by whose token it is ([`Participant::holder`]). Who is not named has all of it.
#[derive(Debug, Default)]
pub(crate) struct Allowances(HashMap<String, Allowance>);

impl Allowances {
    fn has_some(&self, holder: &str) -> bool {
        self.0.get(holder).is_none_or(|allowance| allowance.left > 0)
    }

    fn spend(&mut self, holder: &str, bytes: usize) {
        let full = Allowance { left: BURST_BYTES, refilled_at: None };
        let allowance = self.0.entry(holder.to_owned()).or_insert(full);
        allowance.left -= i64::try_from(bytes).unwrap_or(BURST_BYTES);
    }

    fn refill(&mut self, now: Instant) {
        self.0.retain(|_, allowance| {
            allowance.refill(now);
            allowance.left < BURST_BYTES
        });
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Allowance {
    fn refill(&mut self, now: Instant) {
        let passed = self.refilled_at.replace(now).map_or(Duration::ZERO, |at| now.duration_since(at));
        let gained = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX).saturating_mul(BYTES_PER_S) / 1000;
        self.left = self.left.saturating_add(gained).min(BURST_BYTES);
    }
}

impl Participant {
    /// Bytes of what the participant says of itself.
    pub(crate) fn own_bytes(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.name.len() + self.metadata.len() + attributes
    }
}

impl Room {
    /// Whether the participant may have something announced now.
    pub(crate) fn may_announce(&self, sid: &ParticipantSid) -> bool {
        self.participants.get(sid).is_some_and(|participant| self.allowances.has_some(&participant.holder))
    }

    pub(crate) fn spend_allowance(&mut self, sid: &ParticipantSid, bytes: usize) {
        if let Some(participant) = self.participants.get(sid) {
            self.allowances.spend(&participant.holder, bytes);
        }
    }

    /// Sends the participant's current state to everyone, or everyone else: at once, or when its allowance is back.
    pub(crate) fn broadcast_update(&mut self, sid: &ParticipantSid, include_self: bool) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        participant.owes_announcement = !self.allowances.has_some(&participant.holder);
        if participant.owes_announcement {
            return;
        }
        let hidden = participant.is_hidden();
        let update = proto::ParticipantUpdate { participants: vec![participant.info()] };
        self.allowances.spend(&participant.holder, update.encoded_len());
        let others =
            self.participants.keys().filter(|other| if *other == sid { include_self } else { !hidden });
        let to = others.cloned().collect();
        self.signal_many(to, Message::Update(update));
    }

    pub(crate) fn broadcast_room(&mut self) {
        let update = Message::RoomUpdate(proto::RoomUpdate { room: Some(self.info()) });
        let everyone = self.participants.keys().cloned().collect();
        self.signal_many(everyone, update);
    }

    pub(crate) fn signal_everyone_but(&mut self, sid: &ParticipantSid, message: Message) {
        let others = self.participants.keys().filter(|other| *other != sid).cloned().collect();
        self.signal_many(others, message);
    }

    pub(crate) fn signal_many(&mut self, to: Vec<ParticipantSid>, message: Message) {
        if !to.is_empty() {
            self.outputs.push_back(Output::Signal { to, message: Box::new(message) });
        }
    }

    /// Whether the participant may say this much of itself: its share is always its own, the rest is the room's.
    pub(crate) fn has_room_for(&self, sid: &ParticipantSid, own_bytes: usize) -> bool {
        let others = self.participants.values().filter(|other| other.sid != *sid).map(Participant::own_bytes);
        own_bytes <= limit::OWN_SHARE_BYTES || others.sum::<usize>() + own_bytes <= limit::ROOM_STATE_BYTES
    }

    /// Time passes: allowances grow, and what waited for them is told.
    pub(crate) fn refill_announcements(&mut self, now: Instant) {
        self.allowances.refill(now);
        let waits = |participant: &&Participant| {
            (participant.owes_announcement || participant.waiting_rules.is_some())
                && self.allowances.has_some(&participant.holder)
        };
        let waiting: Vec<_> = self.participants.values().filter(waits).map(|p| p.sid.clone()).collect();
        for sid in waiting {
            let Some(participant) = self.participants.get_mut(&sid) else { continue };
            let (owes, rules) = (participant.owes_announcement, participant.waiting_rules.take());
            if owes {
                self.broadcast_update(&sid, true);
            }
            if let Some(rules) = rules {
                self.apply_rules(&sid, rules);
            }
        }
    }
}
