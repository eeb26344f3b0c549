//! AIC in session descriptions: `aic/48000`, always with Opus behind it.
//!
//! `str0m` negotiates a closed list of codecs. AIC therefore travels through it under the name of one that nobody
//! offers at that clock rate, G.711 at 48 kHz; this file translates both ways, as text (ADR 5). Model identity is not
//! negotiated but compared: whoever runs another model sends and gets Opus.

use std::borrow::Cow;
use std::collections::HashSet;

use aic_codec::payload::meta;
use aic_codec::payload::sdp::{self, Fmtp};
use str0m::format::{Codec, PayloadParams};
use str0m::rtp::{ExtensionSerializer, ExtensionValues};

/// The payload type we offer; where clients offer, theirs wins.
pub(crate) const PAYLOAD_TYPE: u8 = sdp::PAYLOAD_TYPE;
/// RTP clock, the same as Opus's: a sender may change between the two without a break in its timestamps.
pub(crate) const CLOCK_RATE: u32 = 48_000;
/// The codec AIC is for `str0m`.
pub(crate) const STAND_IN: Codec = Codec::PCMU;
const STAND_IN_MAP: &str = "PCMU/48000";
/// How the sender codes now: for receivers' statistics. We pass it on.
pub(crate) const META_URI: &str = meta::URI;

/// What a connection's other side says about AIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Terms {
    /// Does not know it.
    #[default]
    Absent,
    /// Runs another model, or another payload format.
    OtherModel,
    /// The same model: packets can be exchanged as they are.
    Agreed,
}

/// Whether negotiated parameters are AIC's.
pub(crate) fn is_aic(params: &PayloadParams) -> bool {
    params.spec().codec == STAND_IN && params.spec().clock_rate.get() == CLOCK_RATE
}

/// A client's description as `str0m` can read it, and what it says about AIC.
pub(crate) fn inbound<'a>(sdp: &'a str, model: &str) -> (Cow<'a, str>, Terms) {
    if !mentions(sdp, "aic/") && !mentions(sdp, STAND_IN_MAP) {
        return (Cow::Borrowed(sdp), Terms::Absent);
    }
    let ours: HashSet<&str> = sdp.lines().filter_map(rtpmap).filter(is_named_aic).map(|(pt, _)| pt).collect();
    let mut same = HashSet::new();
    let mut out = String::with_capacity(sdp.len());
    for line in sdp.lines().map(str::trim_end) {
        if let Some((payload_type, mapping)) = rtpmap(line) {
            if ours.contains(payload_type) {
                push(&mut out, &format!("a=rtpmap:{payload_type} {STAND_IN_MAP}"));
                continue;
            }
            // The name is taken: what really is G.711 at 48 kHz must not pass for AIC.
            if mapping.to_ascii_uppercase().starts_with(STAND_IN_MAP) {
                push(&mut out, &format!("a=rtpmap:{payload_type} unknown/48000"));
                continue;
            }
        }
        if let Some((payload_type, parameters)) =
            line.strip_prefix("a=fmtp:").and_then(|rest| rest.split_once(' '))
            && ours.contains(payload_type)
        {
            let agreed = Fmtp::parse(parameters).is_ok_and(|theirs| Fmtp::of(model).agree(&theirs).is_ok());
            if agreed {
                same.insert(payload_type);
            }
            continue;
        }
        push(&mut out, line);
    }
    let terms = match (ours.is_empty(), same.len() == ours.len()) {
        (true, _) => Terms::Absent,
        (false, true) => Terms::Agreed,
        (false, false) => Terms::OtherModel,
    };
    (Cow::Owned(out), terms)
}

/// Our description as clients know it: AIC by its name, with the model we compare with.
pub(crate) fn outbound<'a>(sdp: &'a str, model: &str) -> Cow<'a, str> {
    if !mentions(sdp, STAND_IN_MAP) {
        return Cow::Borrowed(sdp);
    }
    let mut out = String::with_capacity(sdp.len() + 128);
    for line in sdp.lines().map(str::trim_end) {
        match rtpmap(line) {
            Some((payload_type, STAND_IN_MAP)) => {
                push(&mut out, &format!("a=rtpmap:{payload_type} {}", sdp::RTPMAP));
                push(&mut out, &format!("a=fmtp:{payload_type} {}", Fmtp::of(model)));
            }
            _ => push(&mut out, line),
        }
    }
    Cow::Owned(out)
}

fn rtpmap(line: &str) -> Option<(&str, &str)> {
    line.trim_end().strip_prefix("a=rtpmap:")?.split_once(' ')
}

fn is_named_aic((_, mapping): &(&str, &str)) -> bool {
    let mut parts = mapping.split('/');
    parts.next().is_some_and(|name| name.eq_ignore_ascii_case("aic"))
        && parts.next().is_some_and(|rate| rate.parse() == Ok(CLOCK_RATE))
}

fn mentions(sdp: &str, name: &str) -> bool {
    sdp.as_bytes().windows(name.len()).any(|window| window.eq_ignore_ascii_case(name.as_bytes()))
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push_str("\r\n");
}

/// The value of [`META_URI`], opaque to us: at most the 16 bytes of a one-byte header extension (RFC 8285 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    bytes: [u8; 16],
    len: u8,
}

/// Reads and writes [`Meta`].
#[derive(Debug)]
pub(crate) struct MetaExtension;

impl ExtensionSerializer for MetaExtension {
    fn write_to(&self, buf: &mut [u8], values: &ExtensionValues) -> usize {
        let Some(meta) = values.user_values.get::<Meta>() else { return 0 };
        let len = usize::from(meta.len);
        match (buf.get_mut(..len), meta.bytes.get(..len)) {
            (Some(target), Some(bytes)) => {
                target.copy_from_slice(bytes);
                len
            }
            _ => 0,
        }
    }

    fn parse_value(&self, buf: &[u8], values: &mut ExtensionValues) -> bool {
        let mut meta = Meta { bytes: [0; 16], len: 0 };
        let (Some(target), Ok(len)) = (meta.bytes.get_mut(..buf.len()), u8::try_from(buf.len())) else {
            return false;
        };
        target.copy_from_slice(buf);
        meta.len = len;
        values.user_values.set(meta);
        true
    }

    fn is_video(&self) -> bool {
        false
    }

    fn is_audio(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::time::Instant;

    use aura_media::MediaKind;
    use aura_types::TrackSid;
    use str0m::change::{SdpAnswer, SdpOffer};
    use str0m::media::Direction;

    use super::*;
    use crate::transport::peer::Peer;
    use crate::transport::sdp::PublishWish;
    use crate::transport::testing::{ICE_LITE, connection, description, peer};
    use crate::transport::{Assignment, Role};

    const MODEL: &str = "aic16m-1";

    /// A publisher that knows AIC of `theirs` offers to a node of `ours`: the answer, and what the node makes of it.
    fn published(theirs: &str, ours: Option<&str>) -> (String, Peer) {
        let mut client = connection(Some(theirs));
        let mut api = client.sdp_api();
        api.add_media(str0m::media::MediaKind::Audio, Direction::SendOnly, None, None, None);
        let (offer, _pending) = api.apply().expect("something to offer");
        let offer = outbound(&offer.to_sdp_string(), theirs).replace(ICE_LITE, "");
        let mut server = peer(Role::Publisher, ours);
        let (answer, offered) =
            server.accept_offer(&description(offer), &|_| PublishWish::default()).expect("a good offer");
        assert!(offered[0].aic && offered[0].codecs.first() == Some(&aura_media::Codec::Opus), "{offered:?}");
        (answer.sdp, server)
    }

    /// A subscriber of a node of `ours` answers, knowing AIC of `theirs`: whether it gets AIC, and what it was offered.
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn subscribed(ours: &str, theirs: Option<&str>) -> (bool, String) {
        let mut server = peer(Role::Subscriber, Some(ours));
        let track = TrackSid::generate();
        let stream_id = "PA_x|TR_x".to_owned();
        server.attach(Assignment { track: track.clone(), kind: MediaKind::Audio, stream_id });
        let offer = server.make_offer(Instant::now(), false).expect("something to offer");
        let mut client = connection(theirs);
        let (text, _) = inbound(&offer.sdp, theirs.unwrap_or_default());
        let text = text.replace(ICE_LITE, "");
        let parsed = SdpOffer::from_sdp_string(&text).expect("a good offer");
        let answer = client.sdp_api().accept_offer(parsed).expect("acceptable").to_sdp_string();
        let answer = theirs.map_or(answer.clone(), |model| outbound(&answer, model).into_owned());
        let answer = answer.replace(ICE_LITE, "");
        assert!(SdpAnswer::from_sdp_string(&answer).is_ok());
        server.accept_answer(&description(answer)).expect("a good answer");
        let mid = server.live_section(&track).expect("negotiated");
        assert!(
            server.payload_type(mid, |params| params.spec().codec == Codec::Opus).is_some(),
            "Opus behind it"
        );
        (server.takes_aic(mid), offer.sdp)
    }

    #[test]
    fn a_publisher_of_our_model_may_send_it_and_one_of_another_learns_ours() {
        let (answer, server) = published(MODEL, Some(MODEL));
        assert!(server.agrees_on_aic());
        assert!(answer.contains("a=rtpmap:109 aic/48000\r\n") && answer.contains("opus/48000/2"), "{answer}");
        let (answer, server) = published("other-1", Some(MODEL));
        assert!(!server.agrees_on_aic());
        assert!(answer.contains("model=aic16m-1"), "{answer}");
        let (answer, server) = published(MODEL, None);
        assert!(
            !server.agrees_on_aic() && !answer.contains("aic/") && !answer.contains("PCMU/48000"),
            "{answer}"
        );
    }

    #[test]
    fn a_subscriber_gets_it_only_with_our_model() {
        let (takes, offer) = subscribed(MODEL, Some(MODEL));
        assert!(takes);
        assert!(
            offer.contains("a=rtpmap:109 aic/48000\r\na=fmtp:109 ver=1;rates=1500,3000,6000;model=aic16m-1;")
        );
        assert!(offer.contains(META_URI) && !offer.contains("PCMU/48000"), "{offer}");
        assert!(!subscribed(MODEL, Some("other-1")).0);
        assert!(!subscribed(MODEL, None).0);
    }

    #[test]
    fn no_payload_type_is_used_twice() {
        let mut seen = HashSet::new();
        for params in connection(Some(MODEL)).codec_config().params() {
            for number in [Some(params.pt()), params.resend(), params.red()].into_iter().flatten() {
                assert!(seen.insert(number), "{number}");
            }
        }
    }

    const OFFER: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 110 111\r\na=mid:0\r\na=rtpmap:110 aic/48000\r\n\
        a=fmtp:110 ver=1;rates=1500,3000,6000;model=aic16m-1;red=3;maxptime=60\r\na=rtpmap:111 opus/48000/2\r\n\
        a=fmtp:111 minptime=10\r\n";

    #[test]
    fn the_same_model_is_agreed_and_another_is_not() {
        let (text, terms) = inbound(OFFER, "aic16m-1");
        assert_eq!(terms, Terms::Agreed);
        assert!(text.contains("a=rtpmap:110 PCMU/48000\r\n") && !text.contains("model="), "{text}");
        assert!(text.contains("a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\n"), "{text}");
        assert_eq!(inbound(OFFER, "aic16m-2").1, Terms::OtherModel);
        assert_eq!(inbound(&OFFER.replace("ver=1", "ver=2"), "aic16m-1").1, Terms::OtherModel);
        let bare =
            OFFER.replace("a=fmtp:110 ver=1;rates=1500,3000,6000;model=aic16m-1;red=3;maxptime=60\r\n", "");
        assert_eq!(inbound(&bare, "aic16m-1").1, Terms::OtherModel, "no model named");
        assert_eq!(inbound(&OFFER.replace("aic/48000", "aic/16000"), "aic16m-1").1, Terms::Absent);
    }

    #[test]
    fn descriptions_without_it_are_not_touched() {
        let sdp = "v=0\r\nm=audio 9 X 111 0\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n";
        assert!(matches!(inbound(sdp, "m"), (Cow::Borrowed(_), Terms::Absent)));
        assert!(matches!(outbound(sdp, "m"), Cow::Borrowed(_)));
    }

    #[test]
    fn it_comes_out_under_its_name_with_our_model() {
        let (text, _) = inbound(OFFER, "x");
        let answer = outbound(&text, "aic16m-1");
        assert!(answer.contains("a=rtpmap:110 aic/48000\r\na=fmtp:110 ver=1;"), "{answer}");
        assert_eq!(inbound(&answer, "aic16m-1").1, Terms::Agreed);
    }

    #[test]
    fn nobody_passes_for_it_under_its_alias() {
        let (text, terms) = inbound("m=audio 9 X 5\r\na=rtpmap:5 pcmu/48000\r\n", "m");
        assert_eq!(terms, Terms::Absent);
        assert!(!text.to_uppercase().contains("PCMU"), "{text}");
    }

    #[test]
    fn the_meta_extension_passes_through_and_oversized_ones_do_not() {
        let mut values = ExtensionValues::default();
        assert!(MetaExtension.parse_value(&[1, 2, 3, 4], &mut values));
        let mut buffer = [0; 16];
        assert_eq!(MetaExtension.write_to(&mut buffer, &values), 4);
        assert_eq!(buffer[..4], [1, 2, 3, 4]);
        assert!(!MetaExtension.parse_value(&[0; 17], &mut values));
        assert_eq!(MetaExtension.write_to(&mut buffer[..2], &values), 0, "no room for it");
    }

    proptest! {
        #[test]
        fn hostile_text_is_read_without_panic(text in "\\PC{0,300}", lines in proptest::collection::vec(
            prop_oneof![
                Just("a=rtpmap:109 aic/48000"), Just("a=rtpmap: aic/"), Just("a=rtpmap:109 AIC/48000/1"),
                Just("a=fmtp:109 model=m;ver=1"), Just("a=fmtp:109"), Just("a=rtpmap:9 PCMU/48000"), Just("m=audio"),
            ], 0..30)) {
            let _ = inbound(&text, "m");
            let joined = lines.join("\r\n");
            let (read, _) = inbound(&joined, "m");
            let _ = outbound(&read, "m");
        }
    }
}
