//! The few facts of a session description that LiveKit keys on.
//!
//! Which sections carry media to us and under which ids, and which payload type and extension ids were agreed. Reading
//! only: descriptions are made and applied by the media stack.

use aura_media::MediaKind;

/// The header extension that carries loudness (RFC 6464).
pub(crate) const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// A media section that sends to whoever receives this description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SendingSection {
    pub(crate) mid: String,
    pub(crate) kind: MediaKind,
    /// First part of the msid: `PA_…` or `PA_…|TR_…` or `PA_…|camera`.
    pub(crate) stream_id: String,
    /// Second part of the msid.
    pub(crate) track_id: String,
}

impl SendingSection {
    /// The publisher's session id.
    pub(crate) fn participant_sid(&self) -> Option<&str> {
        let sid = self.stream_id.split('|').next().unwrap_or_default();
        sid.starts_with("PA").then_some(sid)
    }

    /// The track's id as the naming rules give it.
    pub(crate) fn track_sid(&self) -> &str {
        match self.stream_id.split_once('|') {
            Some((_, track)) if track.starts_with("TR") => track,
            _ => &self.track_id,
        }
    }
}

/// Splits a description into its media sections, each a list of lines, the `m=` line first.
fn sections(sdp: &str) -> Vec<Vec<&str>> {
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in sdp.lines().map(str::trim_end) {
        if line.starts_with("m=") {
            sections.push(vec![line]);
        } else if let Some(section) = sections.last_mut() {
            section.push(line);
        }
    }
    sections
}

fn attribute<'a>(section: &[&'a str], prefix: &str) -> Option<&'a str> {
    section.iter().find_map(|line| line.strip_prefix(prefix))
}

fn kind(section: &[&str]) -> Option<MediaKind> {
    let line = section.first()?;
    if line.starts_with("m=audio") {
        Some(MediaKind::Audio)
    } else if line.starts_with("m=video") {
        Some(MediaKind::Video)
    } else {
        None
    }
}

/// The sections that send and name a stream.
pub(crate) fn sending_sections(sdp: &str) -> Vec<SendingSection> {
    let section = |lines: &Vec<&str>| {
        let sends = lines.iter().any(|line| matches!(*line, "a=sendonly" | "a=sendrecv"));
        let rejected = lines.first()?.split(' ').nth(1) == Some("0");
        if !sends || rejected {
            return None;
        }
        let (stream_id, track_id) = attribute(lines, "a=msid:")?.split_once(' ')?;
        Some(SendingSection {
            mid: attribute(lines, "a=mid:")?.to_owned(),
            kind: kind(lines)?,
            stream_id: stream_id.to_owned(),
            track_id: track_id.to_owned(),
        })
    };
    sections(sdp).iter().filter_map(section).collect()
}

/// The extension id of `uri` in the section `mid`.
pub(crate) fn extension_id(sdp: &str, mid: &str, uri: &str) -> Option<u8> {
    find(sdp, mid)?.iter().find_map(|line| {
        let (id, given) = line.strip_prefix("a=extmap:")?.split_once(' ')?;
        (given.split(' ').next() == Some(uri)).then(|| id.split('/').next()?.parse().ok())?
    })
}

/// The first payload type of `codec` (its bare name, any case) in the section `mid`.
pub(crate) fn payload_type(sdp: &str, mid: &str, codec: &str) -> Option<u8> {
    find(sdp, mid)?.iter().find_map(|line| {
        let (payload_type, mapping) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        let name = mapping.split('/').next()?;
        name.eq_ignore_ascii_case(codec).then(|| payload_type.parse().ok())?
    })
}

/// Every payload type of the section `mid` with its codec's bare name.
pub(crate) fn payload_types<'a>(sdp: &'a str, mid: &str) -> Vec<(u8, &'a str)> {
    let mapping = |line: &&'a str| {
        let (payload_type, mapping) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        Some((payload_type.parse().ok()?, mapping.split('/').next()?))
    };
    find(sdp, mid).unwrap_or_default().iter().filter_map(mapping).collect()
}

/// The format parameters of `payload_type` in the section `mid`.
pub(crate) fn format_parameters<'a>(sdp: &'a str, mid: &str, payload_type: u8) -> Option<&'a str> {
    let prefix = format!("a=fmtp:{payload_type} ");
    find(sdp, mid)?.iter().find_map(|line| line.strip_prefix(prefix.as_str()))
}

/// The description with these as the parameters of `codec` (its bare name) wherever it has a payload type. The media
/// stack answers with the offerer's parameters; ours may say something else.
pub(crate) fn with_format_parameters(sdp: &str, codec: &str, parameters: &str) -> String {
    let mut out = String::with_capacity(sdp.len());
    let mut of_codec: Vec<&str> = Vec::new();
    for line in sdp.lines().map(str::trim_end) {
        if line.starts_with("m=") {
            of_codec.clear();
        }
        if let Some((payload_type, mapping)) = line.strip_prefix("a=rtpmap:").and_then(|l| l.split_once(' '))
            && mapping.split('/').next().is_some_and(|name| name.eq_ignore_ascii_case(codec))
        {
            of_codec.push(payload_type);
            out.push_str(&format!("{line}\r\na=fmtp:{payload_type} {parameters}\r\n"));
            continue;
        }
        let replaced = line.strip_prefix("a=fmtp:").and_then(|line| line.split_once(' '));
        if !replaced.is_some_and(|(payload_type, _)| of_codec.contains(&payload_type)) {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    out
}

/// The section that sends the track `track_id`.
pub(crate) fn mid_of_track(sdp: &str, track_id: &str) -> Option<String> {
    sections(sdp).iter().find_map(|lines| {
        let (_, track) = attribute(lines, "a=msid:")?.split_once(' ')?;
        (track == track_id).then(|| attribute(lines, "a=mid:").map(str::to_owned))?
    })
}

/// Candidates the media stack does not act on when it reads them in a description, without the leading `a=`: those on
/// inactive sections, which is where a server's first answer in single mode has them, and those to dial over TCP.
pub(crate) fn overlooked_candidates(sdp: &str) -> impl Iterator<Item = &str> {
    sections(sdp).into_iter().flat_map(|lines| {
        let inactive = lines.contains(&"a=inactive");
        lines
            .into_iter()
            .filter_map(|line| line.strip_prefix("a=").filter(|line| line.starts_with("candidate:")))
            .filter(move |line| inactive || line.contains(" tcptype passive"))
    })
}

fn find<'a>(sdp: &'a str, mid: &str) -> Option<Vec<&'a str>> {
    sections(sdp).into_iter().find(|lines| attribute(lines, "a=mid:") == Some(mid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=mid:0\r\na=sendonly\r\na=msid:PA_x|TR_AMx TR_AMx\r\n\
        a=extmap:3 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=rtpmap:111 opus/48000/2\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=inactive\r\na=msid:PA_y|TR_VCy TR_VCy\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=sendrecv\r\na=msid:PA_z|camera TR_VCz\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:4\r\na=sendonly\r\na=msid:- whatever\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:3\r\n";

    #[test]
    fn finds_who_sends_what() {
        let found = sending_sections(OFFER);
        let named: Vec<_> =
            found.iter().map(|s| (s.mid.as_str(), s.participant_sid(), s.track_sid())).collect();
        assert_eq!(
            named,
            [("0", Some("PA_x"), "TR_AMx"), ("2", Some("PA_z"), "TR_VCz"), ("4", None, "whatever")]
        );
        assert_eq!(found[0].kind, MediaKind::Audio);
    }

    #[test]
    fn finds_agreed_numbers() {
        assert_eq!(extension_id(OFFER, "0", AUDIO_LEVEL_URI), Some(3));
        assert_eq!(extension_id(OFFER, "1", AUDIO_LEVEL_URI), None);
        assert_eq!(payload_type(OFFER, "0", "OPUS"), Some(111));
        assert_eq!(payload_type(OFFER, "0", "vp8"), None);
        assert_eq!(mid_of_track(OFFER, "TR_VCz").as_deref(), Some("2"));
    }

    #[test]
    fn parameters_are_found_and_replaced() {
        let offer = "v=0\r\nm=audio 9 X 109 111\r\na=mid:0\r\na=rtpmap:109 aic/48000\r\na=fmtp:109 ver=1;model=a\r\n\
            a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\nm=video 9 X 109\r\na=mid:1\r\na=fmtp:109 apt=1\r\n";
        assert_eq!(payload_types(offer, "0"), [(109, "aic"), (111, "opus")]);
        assert_eq!(format_parameters(offer, "0", 109), Some("ver=1;model=a"));
        let ours = with_format_parameters(offer, "aic", "ver=1;model=b");
        assert_eq!(ours, offer.replace("model=a", "model=b"), "nothing else changes");
    }

    #[test]
    fn finds_candidates_that_would_be_overlooked() {
        let sdp = "m=audio 9 X 111\r\na=inactive\r\na=candidate:1 udp\r\nm=video 9 X 96\r\na=sendonly\r\na=candidate:2 udp\r\na=candidate:3 tcp tcptype passive";
        assert_eq!(
            overlooked_candidates(sdp).collect::<Vec<_>>(),
            ["candidate:1 udp", "candidate:3 tcp tcptype passive"]
        );
    }

    #[test]
    fn nonsense_has_no_sections() {
        assert!(sending_sections("m=\r\na=msid:\r\na=sendonly\r\nm=audio\r\na=sendonly").is_empty());
    }
}
