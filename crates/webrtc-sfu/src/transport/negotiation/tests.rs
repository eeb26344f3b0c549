//! What clients see of sections over several descriptions.

use std::time::{Duration, Instant};

use aura_media::{Codec, MediaKind};
use aura_types::TrackSid;
use livekit_protocol as proto;
use str0m::Rtc;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::media::{Direction, MediaKind as Str0mKind, Mid};

use super::RELEASE_PATIENCE;
use crate::engine::device::DeviceRules;
use crate::transport::peer::Peer;
use crate::transport::sdp::PublishWish;
use crate::transport::testing::{ICE_LITE, connection, description, peer};
use crate::transport::{Assignment, Role};

/// One section of a description as a client reads it.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    mid: String,
    sends: bool,
    track: Option<String>,
    ssrcs: Vec<String>,
}

fn read(sdp: &str) -> Vec<Seen> {
    let blocks = sdp.split("m=").skip(1).filter(|block| !block.starts_with("application"));
    blocks
        .map(|block| {
            let value =
                |name: &str| block.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
            let msid = value("a=msid:");
            let mut ssrcs: Vec<_> = block
                .lines()
                .filter_map(|line| line.strip_prefix("a=ssrc:")?.split(' ').next().map(str::to_owned))
                .collect();
            ssrcs.dedup();
            Seen {
                mid: value("a=mid:").expect("a mid"),
                sends: block.lines().any(|line| line == "a=sendonly"),
                track: msid.and_then(|msid| msid.split(' ').nth(1).map(str::to_owned)),
                ssrcs,
            }
        })
        .collect()
}

fn track(kind: MediaKind) -> Assignment {
    let track = TrackSid::generate();
    Assignment { stream_id: format!("PA_x|{track}"), track, kind }
}

/// A client that we offer to.
struct Listener {
    server: Peer,
    client: Rtc,
}

impl Listener {
    fn new() -> Self {
        Self { server: peer(Role::Subscriber, None), client: connection(None) }
    }

    /// Offers and has it answered; what the offer said.
    fn negotiate(&mut self) -> Vec<Seen> {
        let offer = self.offer(false).expect("something to offer");
        self.answer(&offer);
        read(&offer)
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn offer(&mut self, restart: bool) -> Option<String> {
        self.server.make_offer(Instant::now(), restart).map(|offer| offer.sdp)
    }

    fn answer(&mut self, offer: &str) {
        let parsed = SdpOffer::from_sdp_string(&offer.replace(ICE_LITE, "")).expect("a good offer");
        let answer = self.client.sdp_api().accept_offer(parsed).expect("acceptable").to_sdp_string();
        self.server.accept_answer(&description(answer.replace(ICE_LITE, ""))).expect("a good answer");
    }
}

/// A client that offers.
struct Caller {
    server: Peer,
    client: Rtc,
    receiving: Vec<Mid>,
}

impl Caller {
    fn new() -> Self {
        let mut caller =
            Self { server: peer(Role::Single, None), client: connection(None), receiving: Vec::new() };
        caller.client.sdp_api();
        caller
    }

    /// Offers, with so many more sections to receive on; what the answer said.
    fn negotiate(&mut self, audios: u32, videos: u32) -> Vec<Seen> {
        let mut api = self.client.sdp_api();
        // As browsers do: what was meant for receiving stays so, whatever the last answer said.
        for mid in &self.receiving {
            api.set_direction(*mid, Direction::RecvOnly);
        }
        if self.receiving.is_empty() {
            api.add_channel("_reliable".into());
        }
        let kinds = [(Str0mKind::Audio, audios), (Str0mKind::Video, videos)];
        for kind in kinds.into_iter().flat_map(|(kind, count)| (0..count).map(move |_| kind)) {
            self.receiving.push(api.add_media(kind, Direction::RecvOnly, None, None, None));
        }
        // Offers without any change are made of an ICE restart here, which browsers do not need.
        api.ice_restart(true);
        let (offer, pending) = api.apply().expect("something to offer");
        let offer = description(offer.to_sdp_string().replace(ICE_LITE, ""));
        let (answer, _) =
            self.server.accept_offer(&offer, &|_| PublishWish::default()).expect("a good offer");
        let parsed = SdpAnswer::from_sdp_string(&answer.sdp.replace(ICE_LITE, "")).expect("a good answer");
        self.client.sdp_api().accept_answer(pending, parsed).expect("acceptable");
        for seen in read(&answer.sdp).iter().filter(|seen| seen.sends) {
            assert_eq!(answer.mid_to_track_id.get(&seen.mid), seen.track.as_ref());
        }
        read(&answer.sdp)
    }

    fn requirement(&mut self) -> Option<(u32, u32)> {
        self.server
            .requirement()
            .map(|asked: proto::MediaSectionsRequirement| (asked.num_audios, asked.num_videos))
    }
}

#[test]
fn where_we_offer_every_use_of_a_section_has_streams_of_its_own() {
    let mut listener = Listener::new();
    let (first, second) = (track(MediaKind::Video), track(MediaKind::Video));
    listener.server.attach(first.clone());
    let used = listener.negotiate();
    assert_eq!(used[0].track, Some(first.track.to_string()));
    assert_eq!(used[0].ssrcs.len(), 2, "media and retransmissions");

    listener.server.detach(&first.track);
    let idle = listener.negotiate();
    assert_eq!(idle, [Seen { mid: used[0].mid.clone(), sends: false, track: None, ssrcs: Vec::new() }]);

    listener.server.attach(second.clone());
    let again = listener.negotiate();
    assert_eq!((again.len(), &again[0].mid), (1, &used[0].mid), "the section is used again");
    assert_eq!(again[0].track, Some(second.track.to_string()));
    assert!(
        again[0].ssrcs.len() == 2 && again[0].ssrcs.iter().all(|ssrc| !used[0].ssrcs.contains(ssrc)),
        "{again:?}"
    );

    let mid = listener.server.live_section(&second.track).expect("negotiated");
    let ssrc = listener.server.outgoing_stream(mid).expect("a stream");
    assert_eq!(again[0].ssrcs[0], ssrc.to_string(), "what was announced is what is sent");

    // The same track, left and taken again, is another use.
    listener.server.detach(&second.track);
    listener.negotiate();
    listener.server.attach(second);
    let third = listener.negotiate();
    assert!(third[0].ssrcs.iter().all(|ssrc| !again[0].ssrcs.contains(ssrc)), "{third:?}");
}

#[test]
fn where_we_offer_no_section_goes_from_one_track_to_another_at_once() {
    let mut listener = Listener::new();
    let (first, second, third) = (track(MediaKind::Audio), track(MediaKind::Audio), track(MediaKind::Audio));
    listener.server.attach(first.clone());
    listener.negotiate();
    listener.server.detach(&first.track);
    listener.server.attach(second.clone());
    let swapped = listener.negotiate();
    assert!(!swapped[0].sends && swapped[0].track.is_none(), "{swapped:?}");
    assert_eq!(swapped[1].track, Some(second.track.to_string()));
    listener.server.attach(third.clone());
    let reused = listener.negotiate();
    assert_eq!((reused.len(), reused[0].track.clone()), (2, Some(third.track.to_string())));
}

#[test]
fn an_offer_that_was_lost_may_have_been_seen() {
    let mut listener = Listener::new();
    let (first, second) = (track(MediaKind::Video), track(MediaKind::Video));
    listener.server.attach(first.clone());
    listener.negotiate();
    listener.server.detach(&first.track);
    listener.negotiate();
    listener.server.attach(first.clone());
    let lost = listener.offer(false).expect("an offer");
    assert!(read(&lost)[0].sends);
    // The connection breaks before the answer; meanwhile another track takes the place.
    listener.server.detach(&first.track);
    listener.server.attach(second.clone());
    let renewed = listener.offer(true).expect("a renewed offer");
    let seen = read(&renewed);
    assert!(!seen[0].sends, "{seen:?}");
    assert_eq!(seen[1].track, Some(second.track.to_string()));
    listener.answer(&renewed);
    assert!(listener.server.live_section(&second.track).is_some());
}

#[test]
fn where_the_client_offers_every_use_of_a_section_has_streams_of_its_own() {
    let mut caller = Caller::new();
    let (first, second) = (track(MediaKind::Video), track(MediaKind::Video));
    caller.server.attach(first.clone());
    let used = caller.negotiate(0, 1);
    assert_eq!(used[0].track, Some(first.track.to_string()));
    caller.server.detach(&first.track);
    assert_eq!(caller.requirement(), Some((0, 0)), "the client must hear that the track is over");
    let idle = caller.negotiate(0, 0);
    assert!(!idle[0].sends && idle[0].track.is_none() && idle[0].ssrcs.is_empty(), "{idle:?}");
    assert_eq!(caller.requirement(), None);

    caller.server.attach(second.clone());
    assert_eq!(caller.requirement(), Some((0, 0)), "there is a free section");
    let again = caller.negotiate(0, 0);
    assert_eq!(again[0].track, Some(second.track.to_string()));
    assert!(
        again[0].ssrcs.len() == 2 && again[0].ssrcs.iter().all(|ssrc| !used[0].ssrcs.contains(ssrc)),
        "{again:?}"
    );
    let mid = caller.server.live_section(&second.track).expect("negotiated");
    assert_eq!(again[0].ssrcs[0], caller.server.outgoing_stream(mid).expect("a stream").to_string());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn sections_of_tracks_that_are_over_are_described_together_and_later() {
    let mut caller = Caller::new();
    let tracks = [(); 3].map(|()| track(MediaKind::Video));
    for track in &tracks {
        caller.server.attach(track.clone());
    }
    caller.negotiate(0, 3);
    let start = Instant::now();
    for (track, ms) in tracks[..2].iter().zip([0, 1_500]) {
        caller.server.detach_ended(&track.track, start + Duration::from_millis(ms));
        assert!(!caller.server.releases_due(start + Duration::from_millis(ms)));
        assert_eq!(caller.requirement(), None, "nobody waits for the section");
    }
    let later = start + RELEASE_PATIENCE;
    assert!(caller.server.releases_due(later) && !caller.server.releases_due(later), "once");
    assert_eq!(caller.requirement(), Some((0, 0)));
    let idle = caller.negotiate(0, 0);
    assert_eq!(idle.iter().map(|section| section.sends).collect::<Vec<_>>(), [false, false, true]);

    // Whoever comes meanwhile does not wait, and the description says both.
    caller.server.detach_ended(&tracks[2].track, start);
    caller.server.attach(track(MediaKind::Video));
    assert_eq!(caller.requirement(), Some((0, 0)));
    let taken = caller.negotiate(0, 0);
    assert_eq!(taken.iter().map(|section| section.sends).collect::<Vec<_>>(), [true, false, false]);
    assert!(!caller.server.releases_due(later + RELEASE_PATIENCE), "it was said");

    let mut listener = Listener::new();
    let heard = track(MediaKind::Audio);
    listener.server.attach(heard.clone());
    let offer = listener.offer(false).expect("an offer");
    listener.answer(&offer);
    listener.server.detach_ended(&heard.track, start);
    assert!(listener.offer(false).is_none());
    assert!(listener.server.releases_due(later));
    assert!(!read(&listener.offer(false).expect("an offer"))[0].sends);
}

#[test]
fn where_the_client_offers_no_section_goes_from_one_track_to_another_at_once() {
    let mut caller = Caller::new();
    let (first, second) = (track(MediaKind::Audio), track(MediaKind::Audio));
    caller.server.attach(first.clone());
    caller.negotiate(1, 0);
    caller.server.detach(&first.track);
    caller.server.attach(second.clone());
    assert_eq!(caller.requirement(), Some((1, 0)), "the section of the first is not free yet");
    let swapped = caller.negotiate(1, 0);
    assert!(!swapped[0].sends && swapped[0].track.is_none(), "{swapped:?}");
    assert_eq!(swapped[1].track, Some(second.track.to_string()));

    // A client that offers for a reason of its own, before it heard of the change, sees no swap either.
    let third = track(MediaKind::Audio);
    caller.server.detach(&second.track);
    caller.server.attach(third.clone());
    let crossed = caller.negotiate(0, 0);
    assert_eq!((crossed[0].track.clone(), crossed[1].sends), (Some(third.track.to_string()), false));
}

#[test]
fn safari_gets_another_section_for_every_track() {
    let mut listener = Listener::new();
    listener.server.never_reuse_sections();
    let mut caller = Caller::new();
    caller.server.never_reuse_sections();
    caller.negotiate(0, 1);
    for round in 1..4 {
        let next = track(MediaKind::Video);
        listener.server.attach(next.clone());
        assert_eq!(listener.negotiate().len(), round);
        listener.server.detach(&next.track);

        caller.server.attach(next.clone());
        let wanted = if round == 1 { (0, 0) } else { (0, 1) };
        assert_eq!(caller.requirement(), Some(wanted));
        let seen = caller.negotiate(0, wanted.1);
        assert_eq!(seen[round - 1].track, Some(next.track.to_string()), "{seen:?}");
        caller.server.detach(&next.track);
        caller.negotiate(0, 0);
    }
}

#[test]
fn a_client_that_offered_only_data_is_asked_for_sections() {
    let mut caller = Caller::new();
    let (voice, picture) = (track(MediaKind::Audio), track(MediaKind::Video));
    caller.server.attach(voice);
    assert_eq!(caller.requirement(), None, "it will offer first");
    assert!(caller.negotiate(0, 0).is_empty());
    assert_eq!(caller.requirement(), Some((1, 0)));
    caller.server.attach(picture);
    assert_eq!(caller.requirement(), Some((0, 1)), "only what was not asked for");
    assert!(caller.negotiate(1, 1).iter().all(|seen| seen.sends));
    assert_eq!(caller.requirement(), None);
}

#[test]
fn nobody_is_asked_for_more_sections_than_a_description_may_have() {
    use crate::transport::sdp::MAX_SECTIONS;

    let mut caller = Caller::new();
    caller.negotiate(1, 0);
    for _ in 0..MAX_SECTIONS + 20 {
        caller.server.attach(track(MediaKind::Audio));
    }
    // As often as it takes: each time no more than surely fits, by the sections seen so far.
    let mut sending = 0;
    while let Some((more, _)) = caller.requirement() {
        let seen = caller.negotiate(more, 0);
        let now = seen.iter().filter(|seen| seen.sends).count();
        assert!(now > sending, "nobody goes round in circles");
        sending = now;
    }
    assert!(sending > 200 && sending < MAX_SECTIONS, "{sending}");
    caller.server.attach(track(MediaKind::Audio));
    assert_eq!(caller.requirement(), None, "the others wait");

    let mut listener = Listener::new();
    for _ in 0..MAX_SECTIONS + 20 {
        listener.server.attach(track(MediaKind::Audio));
    }
    let full = listener.negotiate();
    assert_eq!(full.len(), MAX_SECTIONS - 1);
    assert_eq!(listener.offer(false), None);
    // One leaves: its section is described idle, and then another track is on it.
    let leaver = full[7].track.as_deref().and_then(|track| track.parse().ok()).expect("a track");
    listener.server.detach(&leaver);
    assert!(!listener.negotiate()[7].sends);
    assert!(listener.negotiate()[7].sends);
    assert_eq!(listener.offer(false), None);
}

#[test]
fn safari_takes_sections_again_where_there_is_no_room_for_more() {
    use crate::transport::sdp::MAX_SECTIONS;

    let mut listener = Listener::new();
    listener.server.never_reuse_sections();
    for _ in 0..MAX_SECTIONS {
        listener.server.attach(track(MediaKind::Audio));
    }
    let full = listener.negotiate();
    let leaver = full[0].track.as_deref().and_then(|track| track.parse().ok()).expect("a track");
    listener.server.detach(&leaver);
    listener.negotiate();
    assert!(listener.negotiate()[0].sends, "the one that waited");
}

/// The codecs of one section, as its `a=rtpmap` lines name them.
fn codecs_of(sdp: &str, mid: &str) -> Vec<String> {
    let mark = format!("a=mid:{mid}\r\n");
    let section = sdp.split("m=").find(|section| section.contains(&mark)).expect("the section");
    let names = section.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")?.split([' ', '/']).nth(1));
    let mut names: Vec<_> = names.filter(|name| *name != "rtx").map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn what_a_device_must_not_use_is_left_out_of_our_descriptions() {
    let rules = DeviceRules { never: vec![Codec::Av1], not_published: vec![Codec::H264] };
    let mut server = peer(Role::Single, None);
    server.device = rules.clone();
    let mut client = connection(None);
    let mut api = client.sdp_api();
    let (stream, name) = (Some("stream".into()), Some("camera".into()));
    let sending = api.add_media(Str0mKind::Video, Direction::SendOnly, stream, name, None).to_string();
    let receiving = api.add_media(Str0mKind::Video, Direction::RecvOnly, None, None, None).to_string();
    let (offer, pending) = api.apply().expect("something to offer");
    let offer = description(offer.to_sdp_string().replace(ICE_LITE, ""));
    assert!(codecs_of(&offer.sdp, &sending).contains(&"H264".to_owned()), "the client would");
    server.attach(track(MediaKind::Video));
    let (answer, _) = server.accept_offer(&offer, &|_| PublishWish::default()).expect("a good offer");
    assert_eq!(codecs_of(&answer.sdp, &sending), ["VP8", "VP9"]);
    assert_eq!(codecs_of(&answer.sdp, &receiving), ["H264", "VP8", "VP9"]);
    let parsed = SdpAnswer::from_sdp_string(&answer.sdp.replace(ICE_LITE, "")).expect("a good answer");
    client.sdp_api().accept_answer(pending, parsed).expect("acceptable");

    let mut listener = Listener::new();
    listener.server.device = rules;
    listener.server.attach(track(MediaKind::Video));
    let offer = listener.offer(false).expect("something to offer");
    assert_eq!(codecs_of(&offer, &read(&offer)[0].mid), ["H264", "VP8", "VP9"]);
    listener.answer(&offer);
}
