//! A network that loses media packets, both ways, for tests and demonstrations. Sits next to the wire, so that everything
//! above it notices: receivers' reports count the gaps.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

pub(super) struct BadNetwork {
    /// Share of packets lost, 0 to 1.
    loss: f32,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl BadNetwork {
    pub(super) fn new(loss: f32) -> Self {
        Self { loss, inbound: VecDeque::new(), outbound: VecDeque::new() }
    }

    fn loses(&self, message: &TaggedPacket) -> bool {
        matches!(message.message.packet, Packet::Rtp(_)) && is_lost(self.loss)
    }
}

/// Throws the dice.
pub(crate) fn is_lost(share: f32) -> bool {
    share > 0.0 && rand::random::<f32>() < share
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for BadNetwork {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Error> {
        if !self.loses(&message) {
            self.inbound.push_back(message);
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Error> {
        if !self.loses(&message) {
            self.outbound.push_back(message);
        }
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl Interceptor for BadNetwork {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
