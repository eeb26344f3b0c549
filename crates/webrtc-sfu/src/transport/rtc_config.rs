//! What every connection of this node has in common: codecs, header extensions, certificate, limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::crypto::dtls::DtlsCert;
use str0m::format::{Codec, FormatParams};
use str0m::media::Frequency;
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Candidate, Rtc, RtcConfig};

use super::{Role, aic, descriptor};

/// Shared by all connections of a shard.
#[derive(Debug, Clone)]
pub(crate) struct PeerSettings {
    /// One certificate per process: generating a key per join costs more than the rest of the join.
    pub(crate) certificate: DtlsCert,
    /// Where clients can reach this shard by UDP.
    pub(crate) udp_candidates: Vec<SocketAddr>,
    /// Where clients can reach this node by ICE-TCP.
    pub(crate) tcp_candidates: Vec<SocketAddr>,
    /// The AIC model exchanged on this node; `None` = AIC is off.
    pub(crate) aic_model: Option<Arc<str>>,
}

/// Bytes a connection may have queued on its data channels.
const DATA_BUFFER_BYTES: usize = 1024 * 1024;
/// The largest message clients may send on a data channel.
const MAX_MESSAGE_BYTES: u32 = 65_535;
/// How often receivers' loss is looked at.
const LOSS_REPORT_INTERVAL: Duration = Duration::from_secs(2);
/// Packets kept per video stream for retransmission: about a second of a 2.5 Mbit/s stream.
const VIDEO_RESEND_PACKETS: usize = 300;

/// A fresh connection with this node's candidates.
///
/// ICE-lite: the node has a public address, never contacts addresses a client names, and answers nothing that lacks
/// a valid MESSAGE-INTEGRITY (ADR 4).
pub(crate) fn build(settings: &PeerSettings, role: Role, now: Instant) -> Rtc {
    // Loss on the way to the client caps its layers and sets AIC's redundancy. Where we send nothing there is none.
    let loss_reports = (role != Role::Publisher).then_some(LOSS_REPORT_INTERVAL);
    let mut config = RtcConfig::new()
        .set_rtp_mode(true)
        .set_ice_lite(true)
        .set_dtls_cert(settings.certificate.clone())
        .set_sctp_max_buffered_amount(DATA_BUFFER_BYTES)
        .set_sctp_max_message_size(MAX_MESSAGE_BYTES)
        .set_send_buffer_video(VIDEO_RESEND_PACKETS)
        .set_stats_interval(loss_reports)
        .set_pause_threshold(Duration::from_millis(1_500))
        .set_extension_map(extensions())
        .clear_codecs();
    if settings.aic_model.is_some() {
        // Before Opus: whoever takes both gets AIC first in our offers.
        let (codec, clock) = (aic::STAND_IN, Frequency::FORTY_EIGHT_KHZ);
        let params = FormatParams::default();
        config.codec_config().add_config(aic::PAYLOAD_TYPE.into(), None, codec, clock, None, params);
    }
    config.codec_config().enable_opus(true, true);
    add_codecs(&mut config);
    let mut rtc = config.build(now);
    let udp = settings.udp_candidates.iter().filter_map(|address| Candidate::host(*address, "udp").ok());
    let tcp = settings.tcp_candidates.iter().filter_map(|address| tcp_candidate(*address));
    for candidate in udp.chain(tcp) {
        rtc.add_local_candidate(candidate);
    }
    rtc
}

/// A passive TCP candidate, behind every UDP one: type preference 90 and direction preference 4 (RFC 6544 §4.2).
fn tcp_candidate(address: SocketAddr) -> Option<Candidate> {
    const PRIORITY: u32 = 90 << 24 | (4 << 13 | 0x1fff) << 8 | 255;
    let (ip, port) = (address.ip(), address.port());
    let line = format!("candidate:tcp 1 tcp {PRIORITY} {ip} {port} typ host tcptype passive");
    Candidate::from_sdp_string(&line).ok()
}

/// LiveKit's payload types (livekit-protocol §4), but for 109, which is AIC's. Clients' own numbers win where they
/// offer.
fn add_codecs(config: &mut RtcConfig) {
    let codecs = config.codec_config();
    let video = Frequency::NINETY_KHZ;
    // By hand: `enable_pcmu` would remove AIC's stand-in.
    codecs.add_config(0.into(), None, Codec::PCMU, Frequency::EIGHT_KHZ, None, FormatParams::default());
    codecs.enable_pcma(true, false);
    let plain = FormatParams::default;
    codecs.add_config(96.into(), Some(97.into()), Codec::Vp8, video, None, plain());
    for (pt, rtx, packetization_mode, profile) in
        // Packetization mode 1 first: mode 0 puts every slice into a packet of its own.
        [(108, 121, true, 0x42_e01f), (123, 119, true, 0x64_0032), (125, 107, false, 0x42_e01f)]
    {
        codecs.add_h264(pt.into(), Some(rtx.into()), packetization_mode, profile);
    }
    let vp9 = FormatParams { profile_id: Some(0), ..plain() };
    codecs.add_config(98.into(), Some(99.into()), Codec::Vp9, video, None, vp9);
    codecs.add_config(35.into(), Some(36.into()), Codec::Av1, video, None, plain());
}

fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::standard();
    map.set(5, Extension::AbsoluteCaptureTime);
    map.set(6, Extension::PlayoutDelay);
    map.set(7, Extension::with_serializer(aic::META_URI, aic::MetaExtension));
    map.set(8, Extension::with_serializer(descriptor::URI, descriptor::DescriptorExtension));
    map
}
