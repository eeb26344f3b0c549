//! A network that loses media packets, both ways, for tests and demonstrations. Sits next to the wire, so that everything
//! above it notices: receivers' reports count the gaps.

use rtc::interceptor::{Packet, TaggedPacket};

use super::filter::Rule;

pub(super) struct BadNetwork {
    /// Share of packets lost, 0 to 1.
    pub(super) loss: f32,
}

/// Throws the dice.
pub(crate) fn is_lost(share: f32) -> bool {
    share > 0.0 && rand::random::<f32>() < share
}

impl Rule for BadNetwork {
    fn inbound(&mut self, message: TaggedPacket) -> Option<TaggedPacket> {
        let lost = matches!(message.message.packet, Packet::Rtp(_)) && is_lost(self.loss);
        (!lost).then_some(message)
    }

    fn outbound(&mut self, message: TaggedPacket) -> Option<TaggedPacket> {
        self.inbound(message)
    }
}
