//! Promised tracks, the media they become, and their codecs.

use super::*;

#[test]
fn a_track_needs_a_promise_and_matches_it_by_name_then_by_kind() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let kind = MediaKind::Video;
    let facts = MediaFacts { cid: "cam", kind, mid: "1", codecs: &[], aic: false, simulcast: false };
    assert_eq!(stage.room.claim_media(&alice, &facts), None, "media before its promise waits");
    let promise = |cid: &str, kind: proto::TrackType| proto::AddTrackRequest {
        cid: cid.into(),
        r#type: kind as i32,
        ..Default::default()
    };
    stage.room.add_track(&alice, promise("other", proto::TrackType::Audio));
    assert_eq!(stage.room.claim_media(&alice, &facts), None, "audio is no promise of video");
    stage.room.add_track(&alice, promise("renamed-by-the-browser", proto::TrackType::Video));
    let track = stage.room.claim_media(&alice, &facts).unwrap();
    assert_eq!(stage.room.claim_media(&alice, &facts), Some(track), "asking again changes nothing");
}

#[test]
fn media_whose_track_was_taken_back_is_not_taken_for_the_next() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let old = stage.publish(&alice, "mic", MediaKind::Audio);
    stage.room.unpublish(&alice, &old, true);
    let promise = |cid: &str| proto::AddTrackRequest { cid: cid.into(), ..Default::default() };
    let facts = |cid: &'static str, mid: &'static str| MediaFacts {
        cid,
        kind: MediaKind::Audio,
        mid,
        codecs: &[],
        aic: false,
        simulcast: false,
    };
    stage.room.add_track(&alice, promise("another mic"));
    assert_eq!(stage.room.claim_media(&alice, &facts("mic", "0")), None, "still offered, but nobody's");
    let new = stage.room.claim_media(&alice, &facts("another mic", "1"));
    assert!(new.is_some_and(|new| new != old));
    stage.room.add_track(&alice, promise("mic"));
    assert!(stage.room.claim_media(&alice, &facts("mic", "0")).is_some(), "promised again by its name");
}

#[test]
fn what_is_not_granted_is_not_published() {
    let mut stage = Stage::new();
    let mut mute = joiner("alice");
    mute.permission.can_publish_sources = vec![proto::TrackSource::Microphone as i32];
    let alice = stage.join_as(mute).unwrap();
    stage.forget();
    let camera = proto::AddTrackRequest {
        cid: "cam".into(),
        r#type: proto::TrackType::Video as i32,
        source: proto::TrackSource::Camera as i32,
        ..Default::default()
    };
    stage.room.add_track(&alice, camera);
    stage.collect();
    let Some(Message::RequestResponse(answer)) = stage.told_to(&alice).next() else {
        panic!("refusal is said")
    };
    assert_eq!(answer.reason, proto::request_response::Reason::NotAllowed as i32);
    assert!(stage.room.participants[&alice].pending.is_empty());
}

#[test]
fn a_track_of_aic_names_both_codecs_and_its_publisher_hears_which_is_wanted() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.join("bob");
    let request = proto::AddTrackRequest {
        cid: "mic".into(),
        r#type: proto::TrackType::Audio as i32,
        source: proto::TrackSource::Microphone as i32,
        ..Default::default()
    };
    stage.room.add_track(&alice, request);
    let (codecs, kind) = (&[Codec::Opus][..], MediaKind::Audio);
    let facts = MediaFacts { cid: "mic", kind, mid: "0", codecs, aic: true, simulcast: false };
    let track = stage.room.claim_media(&alice, &facts).unwrap();
    // What is seen first, and any change after it, is news to nobody.
    stage.forget();
    for codec in [Codec::Aic, Codec::Opus, Codec::Aic] {
        stage.room.format_seen(&alice, &track, codec);
    }
    stage.collect();
    assert!(stage.told.is_empty(), "{:?}", stage.told);
    let info = &stage.room.participants[&alice].track(track.as_str()).unwrap().info;
    let mimes: Vec<_> = info.codecs.iter().map(|codec| codec.mime_type.as_str()).collect();
    assert_eq!((info.mime_type.as_str(), mimes), ("audio/opus", vec!["audio/aic", "audio/opus"]));

    let wanted = |stage: &mut Stage| {
        stage.collect();
        let told: Vec<_> = stage
            .told_to(&alice)
            .filter_map(|message| match message {
                Message::SubscribedQualityUpdate(update) => Some(update.clone()),
                _ => None,
            })
            .collect();
        stage.forget();
        let [update] = &told[..] else { panic!("told once: {told:?}") };
        assert_eq!(update.track_sid, track.as_str());
        let state = |codec: &proto::SubscribedCodec| (codec.codec.clone(), codec.qualities[0].enabled);
        update.subscribed_codecs.iter().map(state).collect::<Vec<_>>()
    };
    stage.room.announce_aic(&alice, &track, false);
    let opus_only = [("audio/aic".to_owned(), false), ("audio/opus".to_owned(), true)];
    assert_eq!(wanted(&mut stage), opus_only);
    stage.room.repeat_feedback(&alice);
    assert_eq!(wanted(&mut stage), opus_only, "said again after a resume");
}

#[test]
fn the_codec_asked_for_is_promised_and_kept() {
    use proto::video_layer::Mode::{MultipleSpatialLayersPerStream, OneSpatialLayerPerStream};
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let offered = [Codec::Vp8, Codec::Vp9, Codec::H264];
    let mut publish = |asked: &[&str], cid: &str| {
        let codec = |name: &&str| proto::SimulcastCodec {
            codec: (*name).into(),
            cid: if *name == asked[0] { cid.into() } else { String::new() },
            ..Default::default()
        };
        let request = proto::AddTrackRequest {
            cid: cid.into(),
            r#type: proto::TrackType::Video as i32,
            layers: layers(),
            simulcast_codecs: asked.iter().map(codec).collect(),
            ..Default::default()
        };
        stage.room.add_track(&alice, request);
        let asked = stage.room.participants[&alice].asked_video_codec(cid);
        let facts = MediaFacts {
            cid,
            kind: MediaKind::Video,
            mid: "0",
            codecs: &offered,
            aic: false,
            simulcast: false,
        };
        let track = stage.room.claim_media(&alice, &facts).unwrap();
        (asked, stage.room.participants[&alice].track(track.as_str()).unwrap().info.clone())
    };
    let named = |info: &proto::TrackInfo| {
        info.codecs.iter().map(|codec| (codec.mime_type.clone(), codec.mid.clone())).collect::<Vec<_>>()
    };
    let entry = |mime: &str, mid: &str| (mime.to_owned(), mid.to_owned());

    let (asked, info) = publish(&["vp9", "vp8"], "with-backup");
    assert_eq!((asked, info.mime_type.as_str()), (Some(Codec::Vp9), "video/VP9"));
    assert_eq!(named(&info), [entry("video/VP9", "0"), entry("video/VP8", "")]);
    let modes: Vec<_> = info.codecs.iter().map(|codec| codec.video_layer_mode).collect();
    assert_eq!(modes, [MultipleSpatialLayersPerStream as i32, OneSpatialLayerPerStream as i32]);
    assert_eq!(info.codecs[0].layers, layers());

    let (asked, info) = publish(&["h264"], "plain");
    assert_eq!((asked, info.mime_type.as_str()), (Some(Codec::H264), "video/H264"));
    let (asked, info) = publish(&[], "silent");
    assert_eq!((asked, info.mime_type.as_str()), (None, "video/VP8"), "the first it offers");
    let (_, info) = publish(&["av1", "vp8"], "not-offered");
    assert_eq!(named(&info), [entry("video/VP8", "0")], "what is not offered cannot be kept");
    let (asked, _) = publish(&["h265"], "not-ours");
    assert_eq!(asked, Some(Codec::Vp8), "what we do not forward is not promised");
}
