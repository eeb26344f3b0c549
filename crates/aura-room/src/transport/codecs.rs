//! The codecs of a connection that speaks AIC.
//!
//! The media stack's default list uses AIC's payload type for something else, so this one is our own: AIC, always with
//! Opus behind it and RFC 2198's redundancy around that, and the video codecs this crate puts together.

use aic_codec::payload::sdp::{Fmtp, PAYLOAD_TYPE};
use aura_media::Codec;
use rtc::rtp_transceiver::rtp_sender::{RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RtpCodecKind};
use webrtc::error::Result;
use webrtc::peer_connection::MediaEngine;

use crate::track::{OPUS, redundancy};

const VIDEO_CLOCK: u32 = 90_000;
/// Payload type of redundancy; the number that browsers use.
const RED: u8 = 63;

/// Registers AIC of `model` and what else we take.
pub(super) fn register_with_aic(engine: &mut MediaEngine, model: &str) -> Result<()> {
    for (kind, codec) in codecs(model) {
        engine.register_codec(codec, kind)?;
    }
    Ok(())
}

fn codecs(model: &str) -> Vec<(RtpCodecKind, RTCRtpCodecParameters)> {
    let mut codecs = Vec::new();
    for (codec, channels, payload_type, sdp_fmtp_line) in [
        (Codec::Aic, 0, PAYLOAD_TYPE, Fmtp::of(model).to_string()),
        (Codec::Opus, 2, OPUS, "minptime=10;useinbandfec=1".to_owned()),
        (Codec::Pcmu, 0, 0, String::new()),
        (Codec::Pcma, 0, 8, String::new()),
    ] {
        let rtp_codec = RTCRtpCodec {
            mime_type: codec.mime().to_owned(),
            clock_rate: codec.clock_rate(),
            channels,
            sdp_fmtp_line,
            rtcp_feedback: Vec::new(),
        };
        codecs.push((RtpCodecKind::Audio, RTCRtpCodecParameters { rtp_codec, payload_type }));
    }
    let red = RTCRtpCodecParameters { rtp_codec: redundancy(), payload_type: RED };
    codecs.push((RtpCodecKind::Audio, red));
    let h264 = |mode, profile| {
        format!("level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}")
    };
    for (codec, parameters, payload_type, retransmission) in [
        (Codec::Vp8, String::new(), 96, 97),
        (Codec::Vp9, "profile-id=0".to_owned(), 98, 99),
        (Codec::H264, h264(1, "42e01f"), 125, 105),
        (Codec::H264, h264(0, "42e01f"), 108, 110),
        (Codec::H264, h264(1, "640032"), 123, 124),
        (Codec::Av1, "profile-id=0".to_owned(), 41, 106),
    ] {
        let primary = video(codec.mime(), parameters, feedback(), payload_type);
        let repair = video("video/rtx", format!("apt={payload_type}"), Vec::new(), retransmission);
        codecs.extend([primary, repair].map(|codec| (RtpCodecKind::Video, codec)));
    }
    codecs
}

fn video(
    mime: &str,
    parameters: String,
    rtcp_feedback: Vec<RTCPFeedback>,
    payload_type: u8,
) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate: VIDEO_CLOCK,
            channels: 0,
            sdp_fmtp_line: parameters,
            rtcp_feedback,
        },
        payload_type,
    }
}

fn feedback() -> Vec<RTCPFeedback> {
    [("goog-remb", ""), ("ccm", "fir"), ("nack", ""), ("nack", "pli")]
        .map(|(kind, parameter)| RTCPFeedback { typ: kind.to_owned(), parameter: parameter.to_owned() })
        .to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_payload_type_is_used_twice_and_opus_is_behind() {
        let codecs = codecs("a-1");
        let numbers: HashSet<_> = codecs.iter().map(|(_, codec)| codec.payload_type).collect();
        assert_eq!(numbers.len(), codecs.len());
        let audio: Vec<_> =
            codecs.iter().take(2).map(|(_, codec)| codec.rtp_codec.mime_type.as_str()).collect();
        assert_eq!(audio, ["audio/aic", "audio/opus"]);
    }
}
