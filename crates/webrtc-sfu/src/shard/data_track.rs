//! Packets of data tracks through the shard: from a sender's channel to each subscriber's.
//!
//! One buffer serves all copies: they differ in the handle alone, which is written over before each.

use std::sync::Arc;
use std::time::Instant;

use aura_media::data_track::set_handle;
use aura_types::ParticipantSid;

use super::worker::Shard;
use crate::engine::data::DataRefusal;
use crate::engine::data_track::DataCopy;

impl Shard {
    /// A message came on a participant's data-track channel.
    pub(crate) fn on_data_track(
        &mut self,
        room: &Arc<str>,
        from: &ParticipantSid,
        packet: Vec<u8>,
        now: Instant,
    ) {
        let Some(host) = self.rooms.get_mut(room) else { return };
        self.counters.data_track_received += 1;
        match host.room.data_track_received(from, packet, now) {
            Ok(()) => {}
            // A flood must not fill the log.
            Err(DataRefusal::OverBudget) => self.counters.data_over_budget += 1,
            Err(refusal) => {
                tracing::debug!(room.name = %room, participant.sid = %from, ?refusal, "data-track packet refused");
                self.counters.data_track_refused += 1;
            }
        }
    }

    /// Sends a packet to each of its subscribers.
    pub(crate) fn send_data_track(
        &mut self,
        room: &Arc<str>,
        mut packet: Vec<u8>,
        copies: &[DataCopy],
        now: Instant,
    ) {
        let Some(host) = self.rooms.get(room) else { return };
        for copy in copies {
            let Some(link) = host.links.get(&copy.subscriber) else { continue };
            set_handle(&mut packet, copy.handle);
            self.peers.change(link.subscriber, |peer| {
                peer.send_data_track(&packet, now);
                Ok(())
            });
        }
        self.counters.data_track_copies += copies.len() as u64;
    }
}
