//! The little of SDP (RFC 8866) we read and write ourselves.
//!
//! `str0m` negotiates; it neither tells which track id a client put into `a=msid` nor lets us choose the msid of
//! sections a client created, and both matter to LiveKit clients. So offers are read, and our descriptions rewritten,
//! as text. Reading never fails: what is not understood is skipped.

use std::collections::HashMap;
use std::fmt::Write as _;

use aura_media::{Codec, MediaKind};

/// Longest description accepted, in bytes: half of what a signalling message may have. Browsers write 2 to 7 KB a section.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
/// Most sections accepted.
pub(crate) const MAX_SECTIONS: usize = 500;
/// Most lines of one section accepted: browsers write up to 300. What reads them compares each with all.
const MAX_SECTION_LINES: usize = 1_000;
/// Most lines about SSRCs accepted in all; six tell everything about one of a hundred layers.
const MAX_SSRC_LINES: usize = 4_096;

/// What one `m=` section of a client's description says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OfferedSection {
    pub(crate) mid: String,
    pub(crate) kind: Option<MediaKind>,
    pub(crate) client_sends: bool,
    pub(crate) client_receives: bool,
    /// Port 0: the section is stopped.
    pub(crate) stopped: bool,
    pub(crate) track_id: Option<String>,
    /// Codecs everybody knows and we forward, in the client's order.
    pub(crate) codecs: Vec<Codec>,
    /// AIC is among the codecs.
    pub(crate) aic: bool,
    pub(crate) simulcast: bool,
    /// Layers that are told apart by SSRC alone (`a=ssrc-group:SIM`), lowest first.
    pub(crate) layer_ssrcs: Vec<u32>,
}

/// What the answer asks of a client that publishes on a section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PublishWish {
    /// Opus format parameters to add (`usedtx=1`, `stereo=1;…`).
    pub(crate) opus_parameters: Vec<&'static str>,
    /// The video codec to send: its payload types come first, and clients send the first.
    pub(crate) codec: Option<Codec>,
    /// Nothing but that codec may be in the answer: some clients do not heed the order.
    pub(crate) codec_alone: bool,
}

/// Reads the sections of a description.
pub(crate) fn read_sections(sdp: &str) -> Vec<OfferedSection> {
    let mut sections: Vec<OfferedSection> = Vec::new();
    let mut rtpmaps: HashMap<&str, Codec> = HashMap::new();
    let mut payload_types: Vec<&str> = Vec::new();
    for line in sdp.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            finish(sections.last_mut(), &rtpmaps, &payload_types);
            rtpmaps.clear();
            let mut words = media.split(' ');
            let kind = match words.next() {
                Some("audio") => Some(MediaKind::Audio),
                Some("video") => Some(MediaKind::Video),
                _ => None,
            };
            let stopped = words.next() == Some("0");
            payload_types = words.skip(1).collect();
            sections.push(OfferedSection {
                kind,
                stopped,
                client_sends: true,
                client_receives: true,
                ..OfferedSection::default()
            });
            continue;
        }
        let (Some(section), Some(attribute)) = (sections.last_mut(), line.strip_prefix("a=")) else {
            continue;
        };
        read_attribute(section, attribute, &mut rtpmaps);
    }
    finish(sections.last_mut(), &rtpmaps, &payload_types);
    sections
}

fn read_attribute<'a>(
    section: &mut OfferedSection,
    attribute: &'a str,
    rtpmaps: &mut HashMap<&'a str, Codec>,
) {
    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
    match name {
        "mid" => section.mid = value.to_owned(),
        "sendonly" => section.client_receives = false,
        "recvonly" => section.client_sends = false,
        "inactive" => (section.client_sends, section.client_receives) = (false, false),
        // Firefox writes port 0 on sections that exist only in the bundle (RFC 9143 §6); they are open.
        "bundle-only" => section.stopped = false,
        "msid" => section.track_id = value.split(' ').nth(1).map(str::to_owned),
        "simulcast" => section.simulcast = value.contains("send"),
        "ssrc-group" => {
            if let Some(ssrcs) = value.strip_prefix("SIM ") {
                section.layer_ssrcs = ssrcs.split(' ').filter_map(|ssrc| ssrc.parse().ok()).take(3).collect();
                section.simulcast |= section.layer_ssrcs.len() > 1;
            }
        }
        "rtpmap" => {
            if let Some((payload_type, codec)) = value.split_once(' ')
                && let Some(codec) = codec.split('/').next().and_then(Codec::parse)
            {
                rtpmaps.insert(payload_type, codec);
            }
        }
        _ => {}
    }
}

fn finish(section: Option<&mut OfferedSection>, rtpmaps: &HashMap<&str, Codec>, payload_types: &[&str]) {
    if let Some(section) = section {
        for codec in payload_types.iter().filter_map(|payload_type| rtpmaps.get(payload_type)).copied() {
            section.aic |= codec == Codec::Aic;
            if codec != Codec::Aic && codec.is_negotiated() && !section.codecs.contains(&codec) {
                section.codecs.push(codec);
            }
        }
    }
}

/// The bytes of the longest section of a description.
pub(crate) fn longest_section_bytes(sdp: &str) -> usize {
    sdp.split("\nm=").skip(1).map(str::len).max().unwrap_or(0)
}

/// What a description has too much of, if it has.
pub(crate) fn excess(sdp: &str) -> Option<&'static str> {
    if sdp.len() > MAX_BYTES {
        return Some("longer than 1 MiB");
    }
    let (mut sections, mut lines, mut ssrcs) = (0, 0, 0);
    for line in sdp.lines() {
        if line.starts_with("m=") {
            (sections, lines) = (sections + 1, 0);
        }
        lines += 1;
        ssrcs += usize::from(is_ssrc(line));
        if sections > MAX_SECTIONS {
            return Some("too many media sections");
        }
        if lines > MAX_SECTION_LINES || ssrcs > MAX_SSRC_LINES {
            return Some("too many lines of one section, or about SSRCs");
        }
    }
    None
}

/// A client's description without its candidates. We are an ICE-lite agent (RFC 8445 §2.5): the client's checks say where
/// it is, and we never send one to an address that it merely names.
pub(crate) fn without_candidates(sdp: &str) -> String {
    let mut out = String::with_capacity(sdp.len());
    let named = |line: &&str| !line.starts_with("a=candidate:");
    let lines = sdp.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.filter(named).for_each(|line| push_line(&mut out, line));
    out
}

/// Extensions that only congestion control reads, which subscribers' layers are not chosen by (`engine::congestion`).
const TRANSPORT_SEQUENCE: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";

/// A client's offer without the header extensions that we would write into every packet towards it for nobody.
pub(crate) fn without_unused_extensions(sdp: &str) -> String {
    let mut out = String::with_capacity(sdp.len());
    for block in split_sections(sdp) {
        let is_ours_alone = block.contains(&"a=recvonly");
        let is_audio = block.first().is_some_and(|line| line.starts_with("m=audio"));
        let unused = |line: &&&str| is_ours_alone && is_unused_extension(line, is_audio);
        block.iter().filter(|line| !unused(line)).for_each(|line| push_line(&mut out, line));
    }
    out
}

/// LiveKit's choice: the time of sending for video, nothing for audio.
fn is_unused_extension(line: &str, is_audio: bool) -> bool {
    line.starts_with("a=extmap:")
        && (line.contains(TRANSPORT_SEQUENCE) || (is_audio && line.contains(SEND_TIME)))
}

/// Feedback on what we send that nobody reads.
fn is_unused_feedback(line: &str, is_audio: bool) -> bool {
    line.starts_with("a=rtcp-fb:")
        && (line.ends_with(" transport-cc") || (is_audio && line.ends_with(" goog-remb")))
}

/// What our description must say about one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SectionText {
    /// We receive.
    Receive(PublishWish),
    /// We send this track.
    Send { stream_id: String, track_id: String },
    /// Nothing flows.
    Idle,
}

/// Writes names and directions into a description made by `str0m`. Sections without an entry stay as they are.
pub(crate) fn rewrite(sdp: &str, sections: &HashMap<String, SectionText>) -> String {
    let mut out = String::with_capacity(sdp.len() + 64 * sections.len());
    for block in split_sections(sdp) {
        let mid = block.iter().find_map(|line| line.strip_prefix("a=mid:"));
        match mid.and_then(|mid| sections.get(mid)) {
            Some(text) => write_section(&mut out, &block, text),
            None => block.iter().for_each(|line| push_line(&mut out, line)),
        }
    }
    out
}

/// The session part, then each `m=` section, as lines.
fn split_sections(sdp: &str) -> Vec<Vec<&str>> {
    let mut blocks = vec![Vec::new()];
    for line in sdp.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if line.starts_with("m=") {
            blocks.push(Vec::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push(line);
        }
    }
    blocks
}

fn write_section(out: &mut String, block: &[&str], text: &SectionText) {
    let opus = block.iter().find_map(|line| {
        let (payload_type, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        codec.starts_with("opus/").then(|| format!("a=fmtp:{payload_type} "))
    });
    let is_audio = block.first().is_some_and(|line| line.starts_with("m=audio"));
    let order = match text {
        SectionText::Receive(wish) => {
            wish.codec.and_then(|codec| codec_first(block, codec, wish.codec_alone))
        }
        _ => None,
    };
    for line in block {
        if let Some(order) = &order
            && line.starts_with("m=")
        {
            push_line(out, &order.media);
        } else if let Some(order) = &order
            && payload_type_in(line).is_some_and(|payload_type| order.left_out.contains(&payload_type))
        {
            // A codec the client must not choose.
        } else if is_direction(line) {
            match text {
                SectionText::Receive(_) => push_line(out, "a=recvonly"),
                SectionText::Idle => push_line(out, "a=inactive"),
                SectionText::Send { stream_id, track_id } => {
                    push_line(out, "a=sendonly");
                    let _ = write!(out, "a=msid:{stream_id} {track_id}\r\n");
                }
            }
        } else if line.starts_with("a=msid:") || is_ssrc_msid(line) {
            // Written with the direction above, or not at all.
        } else if is_ssrc(line) && !matches!(text, SectionText::Send { .. }) {
            // Without media there is no source to announce.
        } else if !matches!(text, SectionText::Receive(_))
            && (is_unused_extension(line, is_audio) || is_unused_feedback(line, is_audio))
        {
            // Costs bytes in every packet and reports of the client's many times a second.
        } else {
            out.push_str(line);
            if let (SectionText::Receive(wish), Some(prefix)) = (text, &opus)
                && line.starts_with(prefix.as_str())
            {
                wish.opus_parameters.iter().filter(|parameter| !line.contains(**parameter)).for_each(
                    |parameter| {
                        out.push(';');
                        out.push_str(parameter);
                    },
                );
            }
            out.push_str("\r\n");
        }
    }
}

/// Payload types of a section in the order the answer gives them.
struct Order<'a> {
    /// The `m=` line.
    media: String,
    left_out: Vec<&'a str>,
}

/// Puts the payload types of `codec`, retransmission included, before all others. `None`: the section does not have it.
fn codec_first<'a>(block: &[&'a str], codec: Codec, alone: bool) -> Option<Order<'a>> {
    let is_codec = |line: &&str| {
        let mapping = line.strip_prefix("a=rtpmap:").and_then(|rest| rest.split_once(' '));
        let name = mapping.and_then(|(_, mapping)| mapping.split('/').next());
        name.and_then(Codec::parse) == Some(codec)
    };
    let mut wanted: Vec<&str> = block.iter().copied().filter(is_codec).filter_map(payload_type_in).collect();
    let resend = |line: &&'a str| {
        let (payload_type, parameters) = line.strip_prefix("a=fmtp:")?.split_once(' ')?;
        let of = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("apt="))?;
        wanted.contains(&of).then_some(payload_type)
    };
    let resends: Vec<&str> = block.iter().filter_map(resend).collect();
    wanted.extend(resends);
    let media = block.first().filter(|line| line.starts_with("m="))?;
    let mut words = media.split(' ');
    let head: Vec<&str> = words.by_ref().take(3).collect();
    let (first, others): (Vec<&str>, Vec<&str>) = words.partition(|word| wanted.contains(word));
    if first.is_empty() {
        return None;
    }
    let left_out = if alone { others.clone() } else { Vec::new() };
    let kept = if alone { Vec::new() } else { others };
    let media = head.into_iter().chain(first).chain(kept).collect::<Vec<_>>().join(" ");
    Some(Order { media, left_out })
}

/// Takes codecs out of sections, and what repeats their packets. `refused` says which, by mid. A section with nothing
/// else keeps them: what is left of it would be no section.
pub(crate) fn without(sdp: &str, refused: impl Fn(&str) -> Vec<Codec>) -> String {
    let mut out = String::with_capacity(sdp.len());
    for block in split_sections(sdp) {
        let mid = block.iter().find_map(|line| line.strip_prefix("a=mid:"));
        let gone = payload_types_of(&block, &mid.map(&refused).unwrap_or_default());
        for line in block {
            if line.starts_with("m=") {
                let kept: Vec<_> = line.split(' ').filter(|word| !gone.contains(word)).collect();
                push_line(&mut out, &kept.join(" "));
            } else if !payload_type_in(line).is_some_and(|payload_type| gone.contains(&payload_type)) {
                push_line(&mut out, line);
            }
        }
    }
    out
}

/// Payload types of a section that carry these codecs. None, if that would be all of them.
fn payload_types_of<'a>(block: &[&'a str], codecs: &[Codec]) -> Vec<&'a str> {
    let media = block.first().filter(|line| line.starts_with("m=") && !codecs.is_empty());
    let Some(all) = media.map(|line| line.split(' ').skip(3)) else { return Vec::new() };
    let attribute = |line: &'a str, name| line.strip_prefix(name).and_then(|value| value.split_once(' '));
    let is_refused = |name: &str| {
        let codec = name.split('/').next().and_then(Codec::parse);
        codec.is_some_and(|codec| codecs.contains(&codec))
    };
    let maps = block.iter().filter_map(|line| attribute(line, "a=rtpmap:"));
    let mut found: Vec<_> =
        maps.filter(|(_, name)| is_refused(name)).map(|(payload_type, _)| payload_type).collect();
    let parameters = block.iter().filter_map(|line| attribute(line, "a=fmtp:"));
    let repeats = parameters.filter(|(_, parameters)| {
        parameters.strip_prefix("apt=").is_some_and(|repeated| found.contains(&repeated))
    });
    let repeats: Vec<_> = repeats.map(|(payload_type, _)| payload_type).collect();
    found.extend(repeats);
    let is_all = all.into_iter().all(|payload_type| found.contains(&payload_type));
    if is_all { Vec::new() } else { found }
}

/// The payload type an attribute is about.
fn payload_type_in(line: &str) -> Option<&str> {
    let value = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"].into_iter().find_map(|name| line.strip_prefix(name));
    value.and_then(|value| value.split(' ').next())
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push_str("\r\n");
}

fn is_direction(line: &str) -> bool {
    matches!(line, "a=sendrecv" | "a=sendonly" | "a=recvonly" | "a=inactive")
}

fn is_ssrc(line: &str) -> bool {
    line.starts_with("a=ssrc:") || line.starts_with("a=ssrc-group:")
}

fn is_ssrc_msid(line: &str) -> bool {
    line.starts_with("a=ssrc:") && line.contains(" msid:")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\na=mid:0\r\na=sendonly\r\na=msid:- mic-1\r\n\
        a=rtpmap:63 red/48000/2\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\n\
        a=ssrc:7 cname:x\r\na=ssrc:7 msid:a b\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";

    fn wish(codec: Option<Codec>, codec_alone: bool) -> PublishWish {
        PublishWish { opus_parameters: vec!["usedtx=1"], codec, codec_alone }
    }

    const VIDEO: &str = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 125 107\r\na=mid:0\r\na=recvonly\r\n\
        a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
        a=rtpmap:98 VP9/90000\r\na=fmtp:98 profile-id=0\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n\
        a=rtpmap:125 H264/90000\r\na=rtpmap:107 rtx/90000\r\na=fmtp:107 apt=125\r\n";

    #[test]
    fn the_codec_asked_for_comes_first_with_its_retransmission() {
        let text = |wish| rewrite(VIDEO, &HashMap::from([("0".to_owned(), SectionText::Receive(wish))]));
        let first = text(wish(Some(Codec::H264), false));
        assert!(first.contains("m=video 9 UDP/TLS/RTP/SAVPF 125 107 96 97 98 99\r\n"), "{first}");
        assert_eq!(first.lines().count(), VIDEO.lines().count());
        let unknown = text(wish(Some(Codec::Av1), true));
        assert_eq!(unknown, VIDEO, "what is not there cannot be first");
        let alone = text(wish(Some(Codec::Vp9), true));
        assert!(alone.contains("m=video 9 UDP/TLS/RTP/SAVPF 98 99\r\n"), "{alone}");
        assert!(
            !alone.contains("VP8") && !alone.contains(":97 ") && !alone.contains("rtcp-fb:96"),
            "{alone}"
        );
    }

    #[test]
    fn descriptions_are_bounded_in_all_that_is_compared_with_each_other() {
        let with = |line: &dyn Fn(usize) -> String, count: usize| {
            format!("{OFFER}{}", (0..count).map(|n| line(n) + "\r\n").collect::<String>())
        };
        assert_eq!(excess(OFFER), None);
        let rtpmap = |n: usize| format!("a=rtpmap:{n} x/{n}");
        assert_eq!(excess(&with(&rtpmap, 900)), None);
        assert!(excess(&with(&rtpmap, 1_000)).is_some());
        let section = |n: usize| format!("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{n}");
        assert_eq!(excess(&with(&section, 497)), None);
        assert_eq!(excess(&with(&section, 498)), Some("too many media sections"));
        let streams = |n: usize| format!("{}{}", section(n), "\r\na=ssrc:1 cname:x".repeat(900));
        assert_eq!(excess(&with(&streams, 4)), None);
        assert!(excess(&with(&streams, 5)).is_some());
        assert!(excess(&with(&|_| "x".repeat(2_000), 600)).is_some());
    }

    #[test]
    fn addresses_a_client_names_are_dropped() {
        let named = OFFER.replace("a=mid:0", "a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host");
        assert_ne!(named, OFFER);
        assert_eq!(without_candidates(&named), OFFER);
    }

    #[test]
    fn nobody_is_asked_to_report_what_nobody_reads() {
        let section = |kind: &str, mid: u8, direction: &str| {
            format!(
                "m={kind} 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{mid}\r\na=extmap:2 {SEND_TIME}\r\n\
                 a=extmap:3 {TRANSPORT_SEQUENCE}\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
                 a={direction}\r\na=rtcp-fb:111 transport-cc\r\na=rtcp-fb:111 goog-remb\r\na=rtcp-fb:111 nack\r\n"
            )
        };
        let sections =
            [("audio", "recvonly"), ("video", "recvonly"), ("audio", "sendonly"), ("video", "sendonly")];
        let text: String =
            sections.iter().zip(0..).map(|((kind, direction), mid)| section(kind, mid, direction)).collect();
        let count = |sdp: &str, what: &str| sdp.matches(what).count();

        let offer = without_unused_extensions(&format!("v=0\r\n{text}"));
        assert_eq!(count(&offer, TRANSPORT_SEQUENCE), 2, "what the client sends keeps it");
        assert_eq!(count(&offer, SEND_TIME), 3);
        assert_eq!(count(&offer, "sdes:mid"), 4);
        assert_eq!(count(&offer, "transport-cc\r\n"), 4, "payload types are one for all sections");

        let send = || SectionText::Send { stream_id: "PA_x|TR_y".into(), track_id: "TR_y".into() };
        let texts = [
            send(),
            send(),
            SectionText::Receive(wish(None, false)),
            SectionText::Receive(wish(None, false)),
        ];
        let texts = texts.into_iter().enumerate().map(|(mid, text)| (mid.to_string(), text)).collect();
        let answer = rewrite(&format!("v=0\r\n{text}"), &texts);
        assert_eq!(count(&answer, TRANSPORT_SEQUENCE), 2);
        assert_eq!(count(&answer, "transport-cc\r\n"), 2);
        assert_eq!((count(&answer, SEND_TIME), count(&answer, "goog-remb")), (3, 3));
        assert_eq!(count(&answer, "nack\r\n"), 4);
    }

    #[test]
    fn layers_without_names_are_known_by_their_group() {
        let offer = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=sendonly\r\n\
            a=rtpmap:96 VP8/90000\r\na=ssrc-group:FID 1 11\r\na=ssrc-group:SIM 1 2 3\r\n";
        let sections = read_sections(offer);
        assert_eq!(sections[0].layer_ssrcs, [1, 2, 3]);
        assert!(sections[0].simulcast);
    }

    #[test]
    fn sections_are_read() {
        let sections = read_sections(OFFER);
        assert_eq!(sections.len(), 3);
        assert_eq!(sections[0].track_id.as_deref(), Some("mic-1"));
        assert_eq!(sections[0].codecs, [Codec::Opus]);
        assert!(sections[0].client_sends && !sections[0].client_receives);
        assert!(!sections[1].client_sends && sections[1].client_receives);
        assert_eq!(sections[2].kind, None);
    }

    #[test]
    fn firefox_sections_of_port_zero_are_open_in_the_bundle() {
        let offer = "v=0\r\nm=video 0 UDP/TLS/RTP/SAVPF 120\r\na=bundle-only\r\na=recvonly\r\na=mid:4\r\n\
            m=video 0 UDP/TLS/RTP/SAVPF 120\r\na=inactive\r\na=mid:5\r\n";
        let stopped: Vec<_> = read_sections(offer).iter().map(|section| section.stopped).collect();
        assert_eq!(stopped, [false, true]);
    }

    #[test]
    fn names_and_directions_are_written() {
        let sections = HashMap::from([
            ("0".to_owned(), SectionText::Receive(wish(None, false))),
            ("1".to_owned(), SectionText::Send { stream_id: "PA_x|TR_y".into(), track_id: "TR_y".into() }),
        ]);
        let text = rewrite(OFFER, &sections);
        assert!(text.contains("a=fmtp:111 minptime=10;usedtx=1\r\n"));
        assert!(text.contains("a=sendonly\r\na=msid:PA_x|TR_y TR_y\r\n"));
        assert!(text.contains("a=ssrc:7 cname:x\r\n") && !text.contains("msid:a b"));
        assert!(!text.contains("mic-1"), "a section we receive on names no track of ours");
        let idle = rewrite(OFFER, &HashMap::from([("1".to_owned(), SectionText::Idle)]));
        assert!(idle.contains("a=inactive") && !idle.contains("a=ssrc:7"));
    }

    #[test]
    fn codecs_go_with_what_repeats_them_but_never_all() {
        let sdp = "v=0\r\ns=-\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97 108 121 125 107\r\na=mid:0\r\n\
            a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
            a=rtpmap:108 H264/90000\r\na=rtcp-fb:108 nack pli\r\na=fmtp:108 packetization-mode=1\r\n\
            a=rtpmap:121 rtx/90000\r\na=fmtp:121 apt=108\r\na=rtpmap:125 H264/90000\r\n\
            a=rtpmap:107 rtx/90000\r\na=fmtp:107 apt=125\r\na=sendrecv\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 108\r\na=mid:1\r\na=rtpmap:108 H264/90000\r\n\
            m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";
        let text = without(sdp, |mid| if mid == "2" { vec![] } else { vec![Codec::H264] });
        let sections: Vec<_> = text.split("m=").collect();
        assert_eq!(
            sections[1],
            "video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\n\
            a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=sendrecv\r\n"
        );
        assert!(sections[2].contains("a=rtpmap:108 H264"), "nothing else would be left");
        assert_eq!(without(sdp, |_| Vec::new()), sdp);
        assert_eq!(without(sdp, |_| vec![Codec::Av1]), sdp);
    }

    proptest! {
        #[test]
        fn hostile_text_is_read_without_panic(text in "\\PC{0,400}", lines in proptest::collection::vec("[am]=[a-z0-9:/ -]{0,30}", 0..40)) {
            let _ = read_sections(&text);
            let _ = without_unused_extensions(&text);
            let joined = lines.join("\r\n");
            let sections = read_sections(&joined);
            let all = sections.iter().map(|s| (s.mid.clone(), SectionText::Idle)).collect();
            let _ = rewrite(&joined, &all);
            let _ = without(&joined, |_| vec![Codec::H264]);
            let _ = without(&text, |_| vec![Codec::H264]);
            let all = sections.iter().map(|s| (s.mid.clone(), SectionText::Receive(wish(Some(Codec::Vp9), true)))).collect();
            let _ = rewrite(&joined, &all);
        }
    }
}
