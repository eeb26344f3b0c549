//! Lets keyframe requests and receivers' reports through to the track they are about.
//!
//! Inbound RTCP otherwise ends in the media stack, which answers NACKs and reads reports; a keyframe only the
//! application can make, and how much redundancy the loss asks for is its encoder's business. Sits last, so that everything else has seen the packet.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Attribute, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

#[derive(Default)]
pub(super) struct KeyframeRequests {
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

pub(super) fn is_request(packet: &dyn rtc::rtcp::Packet) -> bool {
    let packet = packet.as_any();
    packet.is::<PictureLossIndication>() || packet.is::<FullIntraRequest>()
}

/// The loss of our stream `ssrc` since the last report, in 256ths, if this packet reports it (RFC 3550 §6.4.1).
pub(super) fn reported_loss(packet: &dyn rtc::rtcp::Packet, ssrc: u32) -> Option<u8> {
    let packet = packet.as_any();
    let reports = packet
        .downcast_ref::<ReceiverReport>()
        .map(|report| &report.reports)
        .or_else(|| packet.downcast_ref::<SenderReport>().map(|report| &report.reports))?;
    reports.iter().find(|report| report.ssrc == ssrc).map(|report| report.fraction_lost)
}

fn is_report(packet: &dyn rtc::rtcp::Packet) -> bool {
    let packet = packet.as_any();
    packet.is::<ReceiverReport>() || packet.is::<SenderReport>()
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for KeyframeRequests {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut message: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &mut message.message.packet {
            packets.retain(|packet| is_request(packet.as_ref()) || is_report(packet.as_ref()));
            if packets.is_empty() {
                return Ok(());
            }
            message.message.add(Attribute::DeliverToApplication);
        }
        self.inbound.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Error> {
        self.outbound.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl Interceptor for KeyframeRequests {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
