//! A connection: feeding `str0m`, draining it, and what we remember beside it.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use aura_types::ParticipantSid;
use str0m::format::PayloadParams;
use str0m::media::{KeyframeRequestKind, Mid, Pt, Rid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, Ssrc, Vp8Descriptor};
use str0m::{Event, IceConnectionState, Input, Output, Rtc};

use super::aic;
use super::channels::{Channels, Label};
use super::negotiation::Negotiation;
use super::{Datagram, Outgoing, PeerEvent, Role, SubscriberTransport, TransportError};
use crate::engine::DataChannel;
use crate::engine::device::DeviceRules;
use crate::shard::backlog::Worth;
use crate::shard::batch::SendBatch;

/// One WebRTC connection to a client.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) rtc: Rtc,
    pub(crate) role: Role,
    pub(crate) owner: ParticipantSid,
    pub(crate) room: Arc<str>,
    pub(crate) negotiation: Negotiation,
    /// The AIC model of this node; `None` = AIC is off.
    pub(crate) aic_model: Option<Arc<str>>,
    /// What the client says about AIC.
    pub(crate) aic_terms: aic::Terms,
    /// Codecs the client's device must not use.
    pub(crate) device: DeviceRules,
    pub(crate) channels: Channels,
    /// Payload types of audio, as bits.
    audio_types: u128,
    /// Since when ICE has been without consent.
    pub(crate) disconnected_at: Option<Instant>,
    /// When its client last resumed.
    pub(crate) resumed_at: Option<Instant>,
    pub(crate) connected: bool,
    /// When the last datagram came.
    pub(crate) heard_at: Instant,
    /// When the client closed it.
    pub(crate) closed_at: Option<Instant>,
    pub(crate) created_at: Instant,
}

impl Peer {
    pub(crate) fn new(rtc: Rtc, role: Role, owner: ParticipantSid, room: Arc<str>, now: Instant) -> Self {
        Self {
            aic_model: None,
            aic_terms: aic::Terms::Absent,
            rtc,
            role,
            owner,
            room,
            negotiation: Negotiation::default(),
            device: DeviceRules::default(),
            channels: Channels::default(),
            audio_types: 0,
            disconnected_at: None,
            resumed_at: None,
            connected: false,
            heard_at: now,
            closed_at: None,
            created_at: now,
        }
    }

    /// Descriptions of both sides are known: so are the payload types.
    pub(super) fn note_formats(&mut self) {
        self.audio_types = audio_payload_types(&self.rtc);
    }

    /// The user name STUN requests for this connection carry.
    pub(crate) fn local_ufrag(&mut self) -> String {
        self.rtc.direct_api().local_ice_credentials().ufrag
    }

    /// Whether a datagram from an unknown address is meant for this connection (its MESSAGE-INTEGRITY is right).
    pub(crate) fn accepts(&self, now: Instant, datagram: Datagram<'_>) -> bool {
        receive(datagram).is_some_and(|receive| self.rtc.accepts(&Input::Receive(now, receive)))
    }

    /// Sends a message on a data channel, in order.
    pub(crate) fn send_data(&mut self, channel: DataChannel, payload: Arc<[u8]>) {
        self.channels.send(&mut self.rtc, channel, payload);
    }

    /// Sends a packet of a data track, soon or never.
    pub(crate) fn send_data_track(&mut self, packet: &[u8], now: Instant) {
        self.channels.send_track(&mut self.rtc, packet, now);
    }

    /// Asks the client for a keyframe of one incoming stream. False when that stream is not there.
    pub(crate) fn request_keyframe(&mut self, ssrc: Ssrc) -> bool {
        let mut api = self.rtc.direct_api();
        match api.stream_rx(&ssrc) {
            Some(stream) => {
                stream.request_keyframe(KeyframeRequestKind::Pli);
                true
            }
            None => false,
        }
    }

    /// The section and restriction id an incoming stream belongs to.
    pub(crate) fn stream_source(&mut self, ssrc: Ssrc) -> Option<(Mid, Option<Rid>)> {
        self.rtc.direct_api().stream_rx(&ssrc).map(|stream| (stream.mid(), stream.rid()))
    }

    /// The stream we send on a section.
    pub(crate) fn outgoing_stream(&mut self, mid: Mid) -> Option<Ssrc> {
        self.rtc.direct_api().stream_tx_by_mid(mid, None).map(|stream| stream.ssrc())
    }

    /// Whether the client sends, or takes, AIC of our model.
    pub(crate) fn agrees_on_aic(&self) -> bool {
        self.aic_terms == aic::Terms::Agreed
    }

    /// The payload type a codec is sent to the client as on one section.
    pub(crate) fn payload_type(&self, mid: Mid, is_codec: impl Fn(&PayloadParams) -> bool) -> Option<Pt> {
        let pt = self.rtc.codec_config().find(|params| is_codec(params))?.pt();
        self.rtc.media(mid).is_some_and(|media| media.remote_pts().contains(&pt)).then_some(pt)
    }

    /// Whether copies on this section may carry AIC as it was published.
    pub(crate) fn takes_aic(&self, mid: Mid) -> bool {
        self.agrees_on_aic() && self.payload_type(mid, aic::is_aic).is_some()
    }

    fn handle_event(&mut self, event: Event, events: &mut Vec<PeerEvent>) {
        match event {
            Event::RtpPacket(packet) => events.push(PeerEvent::Rtp(Box::new(packet))),
            Event::KeyframeRequest(request) => events.push(PeerEvent::Keyframe { mid: request.mid }),
            Event::SenderFeedback(feedback) => {
                let ntp = feedback.sender_info.ntp_time.duration_since(SystemTime::UNIX_EPOCH);
                events.push(PeerEvent::SenderReport {
                    mid: feedback.mid,
                    ssrc: feedback.sender_info.ssrc,
                    received_at: feedback.received_at,
                    ntp: ntp.unwrap_or_default(),
                    // RTP timestamps are 32 bits on the wire; the extended form is ours.
                    rtp_timestamp: (feedback.sender_info.rtp_time.numer() & 0xffff_ffff) as u32,
                });
            }
            Event::Connected => {
                self.connected = true;
                events.push(PeerEvent::Connected);
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                events.push(PeerEvent::Disconnected);
            }
            Event::IceConnectionStateChange(
                IceConnectionState::Connected | IceConnectionState::Completed,
            ) if self.connected => events.push(PeerEvent::Recovered),
            Event::ChannelOpen(id, label) => {
                self.channels.opened(id, &label);
                events.push(PeerEvent::ChannelReady);
            }
            Event::ChannelBufferedAmountLow(_) => events.push(PeerEvent::ChannelReady),
            Event::ChannelClose(id) => self.channels.closed(id),
            Event::ChannelData(data) => match self.channels.label(data.id) {
                Some(Label::Protocol(channel)) => {
                    events.push(PeerEvent::Data { channel, bytes: data.data });
                }
                Some(Label::Unknown) => events.push(PeerEvent::RawData { bytes: data.data }),
                Some(Label::DataTrack) => events.push(PeerEvent::DataTrack { packet: data.data }),
                None => {}
            },
            Event::MediaEgressStats(stats) => {
                if let Some(loss) = stats.loss {
                    events.push(PeerEvent::DownlinkLoss { mid: stats.mid, loss });
                }
            }
            Event::Closed => events.push(PeerEvent::Closed),
            _ => {}
        }
    }
}

impl SubscriberTransport for Peer {
    fn push(&mut self, packet: Outgoing<'_>) {
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx(&packet.ssrc) else { return };
        let patch = packet.vp8.and_then(|numbers| {
            let descriptor = Vp8Descriptor::parse(&packet.payload).ok()?;
            let mut patch = descriptor.patch();
            if let Some(id) = numbers.picture_id {
                // A 7-bit id stays one: the descriptor's length cannot change.
                let seven_bits = descriptor.picture_id().is_some_and(|was| was < 0x80) && id >= 0x80;
                patch = patch.picture_id(if seven_bits { id & 0x7f } else { id });
            }
            if let Some(index) = numbers.tl0_picture_index {
                patch = patch.tl0_pic_idx(index);
            }
            patch.build().ok()
        });
        let mut write = RtpWrite::new(
            packet.pt,
            packet.numbers.sequence.into(),
            packet.numbers.timestamp,
            packet.wallclock,
            packet.payload,
        )
        .marker(packet.marker)
        .nackable(packet.retransmit)
        .ext_vals(packet.extensions.clone());
        if let Some(patch) = patch {
            write = write.vp8_patch(patch);
        }
        stream.write_rtp(write);
    }

    fn on_datagram(&mut self, now: Instant, datagram: Datagram<'_>) -> Result<(), TransportError> {
        let Some(receive) = receive(datagram) else { return Ok(()) };
        self.heard_at = now;
        Ok(self.rtc.handle_input(Input::Receive(now, receive))?)
    }

    fn on_timer(&mut self, now: Instant) -> Result<(), TransportError> {
        Ok(self.rtc.handle_input(Input::Timeout(now))?)
    }

    fn drain(&mut self, out: &mut SendBatch, events: &mut Vec<PeerEvent>) -> Result<Instant, TransportError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(deadline) => return Ok(deadline),
                Output::Transmit(transmit) => {
                    if transmit.proto != Protocol::Udp {
                        out.push_tcp(transmit.destination, &transmit.contents);
                        continue;
                    }
                    let worth = Worth::of(&transmit.contents, self.audio_types);
                    out.push_udp(transmit.source.ip(), transmit.destination, worth, &transmit.contents);
                }
                Output::Event(event) => self.handle_event(event, events),
            }
        }
    }
}

/// Payload types of audio, RED included, as bits.
fn audio_payload_types(rtc: &Rtc) -> u128 {
    let audio = rtc.codec_config().params().iter().filter(|params| params.spec().codec.is_audio());
    audio
        .flat_map(|params| [Some(params.pt()), params.red()])
        .flatten()
        .fold(0, |bits, pt| bits | 1 << (*pt & 0x7f))
}

/// Classifies a datagram; `None` for what is neither STUN, DTLS, RTP nor RTCP.
fn receive(datagram: Datagram<'_>) -> Option<Receive<'_>> {
    let protocol = if datagram.tcp { Protocol::Tcp } else { Protocol::Udp };
    Receive::new(protocol, datagram.source, datagram.destination, datagram.bytes).ok()
}
