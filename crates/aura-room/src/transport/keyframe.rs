//! Lets keyframe requests and receivers' reports through to the track they are about.
//!
//! Inbound RTCP otherwise ends in the media stack, which answers NACKs and reads reports; a keyframe only the
//! application can make, and how much redundancy the loss asks for is its encoder's business. Sits last, so that everything else has seen the packet.

use rtc::interceptor::{Attribute, Packet, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::sender_report::SenderReport;

use super::filter::Rule;

pub(super) struct KeyframeRequests;

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

impl Rule for KeyframeRequests {
    fn inbound(&mut self, mut message: TaggedPacket) -> Option<TaggedPacket> {
        if let Packet::Rtcp(packets) = &mut message.message.packet {
            packets.retain(|packet| is_request(packet.as_ref()) || is_report(packet.as_ref()));
            if packets.is_empty() {
                return None;
            }
            message.message.add(Attribute::DeliverToApplication);
        }
        Some(message)
    }
}
