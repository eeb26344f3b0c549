//! A room on this shard: the pure [`Room`] and the connections its participants have here.

use std::collections::HashMap;
use std::sync::Arc;

use aura_media::timeline::PublisherClock;
use aura_types::{ParticipantSid, TrackSid};
use livekit_protocol as proto;

use super::fanout::TrackId;
use super::signal_queue::{Outbound, SignalSender};
use crate::engine::room::Room;
use crate::transport::PeerId;
use crate::transport::sdp::OfferedSection;

/// One participant's connections.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where it publishes. The same as `subscriber` with a single connection.
    pub(crate) publisher: PeerId,
    /// Where it receives.
    pub(crate) subscriber: PeerId,
    /// The connection whose being up makes the participant active.
    pub(crate) primary: PeerId,
    pub(crate) outbound: Option<SignalSender>,
    pub(crate) session: u64,
    /// Publishing sections whose track has not been promised by `add_track` yet.
    pub(crate) unclaimed: Vec<OfferedSection>,
    pub(crate) clock: PublisherClock,
}

impl Link {
    /// Queues a message for the client. A client that does not read is cut off rather than waited for.
    pub(crate) fn send(&mut self, message: Outbound) {
        if let Some(outbound) = &self.outbound
            && outbound.send(message).is_err()
        {
            self.outbound = None;
        }
    }

    pub(crate) fn signal(&mut self, message: proto::signal_response::Message) {
        self.send(Outbound::message(message));
    }
}

/// A live room and its links.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: Arc<str>,
    pub(crate) room: Room,
    pub(crate) links: HashMap<ParticipantSid, Link>,
    pub(crate) tracks: HashMap<TrackSid, TrackId>,
}

impl Host {
    pub(crate) fn new(name: Arc<str>, room: Room) -> Self {
        Self { name, room, links: HashMap::new(), tracks: HashMap::new() }
    }
}
