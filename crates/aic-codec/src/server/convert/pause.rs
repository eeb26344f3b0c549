//! Pauses that nobody sent, for unary audio, which has no clock but its own length; and the end.

use std::time::Duration;

use aura_proto::aic::v1 as pb;

use super::source::Heard;
use super::{Converter, Out, Refusal, Sink, Took};

impl Converter {
    /// The pause before `packet`.
    pub(crate) fn pause_before(&mut self, packet: &pb::Packet) -> Result<Vec<pb::Packet>, Refusal> {
        let sequence = u16::try_from(packet.sequence).map_err(|_| Refusal::Sequence)?;
        let heard = self.source.pause_before(sequence, packet.rtp_timestamp)?;
        self.pause(&heard)
    }

    /// The pause after the last packet, until `timestamp`.
    pub(crate) fn pause_until(&mut self, timestamp: u32) -> Result<Vec<pb::Packet>, Refusal> {
        let heard = self.source.pause_until(timestamp)?;
        self.pause(&heard)
    }

    fn pause(&mut self, heard: &[Heard]) -> Result<Vec<pb::Packet>, Refusal> {
        let made = self.encode(heard, Duration::ZERO)?;
        Ok(self.number(made, Took::default()))
    }

    /// Where the input stands on its clock, pauses included; `None` before the first packet.
    pub(crate) fn position(&self) -> Option<u32> {
        self.relayed_until.or_else(|| self.source.position())
    }

    /// What is still buffered.
    pub(crate) fn finish(&mut self) -> Vec<pb::Packet> {
        let made = match &mut self.sink {
            Sink::Pcm(sink, _) => sink.flush().map(Out::Plain).into_iter().collect(),
            Sink::Opus(sink, _) => sink.flush().ok().flatten().map(Out::Plain).into_iter().collect(),
            Sink::Aic(sink) => sink.flush().unwrap_or_default().into_iter().map(Out::Aic).collect(),
            Sink::Relay => Vec::new(),
        };
        self.number(made, Took::default())
    }
}
