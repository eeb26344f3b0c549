//! The SFU and two Chromium windows, with LiveKit's own client and without the web app.
//!
//! What fails here is the SFU's; what passes here and fails in browser.rs is the web app's.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::time::Duration;

use auralink_tests::{Browser, Outcome, Sfu, SfuOptions, Window, entries, fixture, number, wait};
use serde_json::{Value, json};

/// One peer connection, or one each way.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Single,
    Dual,
}

struct Call {
    browser: Browser,
    sfu: Sfu,
    room: &'static str,
    mode: Mode,
}

impl Call {
    async fn start(room: &'static str, mode: Mode, options: SfuOptions) -> anyhow::Result<Self> {
        let (sfu, browser) = tokio::try_join!(Sfu::start(options), Browser::start())?;
        Ok(Self { browser, sfu, room, mode })
    }

    async fn join(&self, identity: &str) -> anyhow::Result<Window> {
        self.join_with(identity, json!({})).await
    }

    async fn join_with(&self, identity: &str, more: Value) -> anyhow::Result<Window> {
        let window = self.browser.protocol_page(identity).await?;
        let mut argument = json!({
            "url": self.sfu.url,
            "token": self.sfu.join_token(identity, self.room),
            "single": self.mode == Mode::Single,
        });
        if let (Some(into), Some(from)) = (argument.as_object_mut(), more.as_object()) {
            into.extend(from.clone());
        }
        window.join(argument).await?;
        Ok(window)
    }

    async fn two(&self) -> anyhow::Result<(Window, Window)> {
        tokio::try_join!(self.join("alice"), self.join("bob"))
    }
}

async fn see_and_hear_each_other(one: &Window, other: &Window) {
    tokio::join!(one.sees_and_hears([other]), other.sees_and_hears([one]));
}

async fn two_meet(room: &'static str, mode: Mode, options: SfuOptions) -> Outcome {
    let _turn = fixture::turn().await;
    let protocol = if options.tcp_only { "tcp" } else { "udp" };
    let call = Call::start(room, mode, options).await?;
    let (alice, bob) = call.two().await?;
    see_and_hear_each_other(&alice, &bob).await;
    for window in [&alice, &bob] {
        let seen = window.media().await?;
        let connections = if mode == Mode::Single { 1.0 } else { 2.0 };
        assert_eq!(number(&seen, "connections"), connections, "{seen:#}");
        assert!(entries(&seen["paths"]).count() > 0, "{seen:#}");
        for path in entries(&seen["paths"]) {
            assert_eq!(path["protocol"], protocol, "{seen:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn two_meet_over_udp_on_one_connection() -> Outcome {
    two_meet("udp-single", Mode::Single, SfuOptions::default()).await
}

#[tokio::test]
async fn two_meet_over_udp_on_two_connections() -> Outcome {
    two_meet("udp-dual", Mode::Dual, SfuOptions::default()).await
}

#[tokio::test]
async fn two_meet_over_tcp_on_one_connection() -> Outcome {
    two_meet("tcp-single", Mode::Single, SfuOptions { tcp_only: true, ..SfuOptions::default() }).await
}

#[tokio::test]
async fn two_meet_over_tcp_on_two_connections() -> Outcome {
    two_meet("tcp-dual", Mode::Dual, SfuOptions { tcp_only: true, ..SfuOptions::default() }).await
}

#[tokio::test]
async fn three_see_each_other_and_learn_who_leaves() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("three", Mode::Single, SfuOptions::default()).await?;
    let (alice, bob) = call.two().await?;
    let carol = call.join("carol").await?;
    tokio::join!(alice.sees_and_hears([&bob, &carol]), carol.sees_and_hears([&alice, &bob]));

    bob.client("leave", Value::Null).await?;
    alice.event("left", |event| event["from"] == "bob").await;
    carol
        .until("only alice is left", "() => client.people()", |people| {
            entries(people).map(|person| &person["identity"]).eq(["alice"])
        })
        .await;
    alice.sees_and_hears([&carol]).await;
    Ok(())
}

async fn everything_said_arrives(room: &'static str, mode: Mode) -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start(room, mode, SfuOptions::default()).await?;
    let quiet = json!({ "publish": false });
    let (alice, bob) =
        tokio::try_join!(call.join_with("alice", quiet.clone()), call.join_with("bob", quiet))?;
    // Who publishes nothing is announced late; what such a one says before that has no sender.
    for window in [&alice, &bob] {
        window.until("knows the other", "() => client.people()", |people| entries(people).count() == 1).await;
    }

    alice.client("chat", json!("hello bob")).await?;
    bob.event("chat", |event| event["text"] == "hello bob" && event["from"] == "alice").await;

    alice.client("data", json!({ "text": "reliable", "topic": "t" })).await?;
    bob.event("data", |event| event["text"] == "reliable" && event["topic"] == "t").await;
    bob.client("data", json!({ "text": "for alice", "to": ["alice"] })).await?;
    alice.event("data", |event| event["text"] == "for alice" && event["from"] == "bob").await;
    // Lossy may be lost, so it is repeated until it is not.
    wait::until("a lossy packet arrives", Duration::from_secs(10), || async {
        let text = |error: anyhow::Error| format!("{error:#}");
        let lossy = json!({ "text": "lossy", "reliable": false, "topic": "l" });
        alice.client("data", lossy).await.map_err(text)?;
        let seen = bob.evaluate("() => client.events", Value::Null).await.map_err(text)?;
        if entries(&seen).any(|event| event["text"] == "lossy") { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;

    let long = "long text ".repeat(5_000);
    alice.client("text", json!(long)).await?;
    bob.event("text_stream", |event| event["text"] == json!(long)).await;
    bob.client("bytes", json!({ "size": 300_000, "name": "picture.png" })).await?;
    alice.event("byte_stream", |event| event["size"] == 300_000 && event["file"] == "picture.png").await;

    let answer = alice.client("rpc", json!({ "to": "bob", "payload": "ping" })).await?;
    assert_eq!(answer, json!("alice: ping"));

    alice.client("attributes", json!({ "hand": "up" })).await?;
    bob.event("attributes", |event| event["changed"]["hand"] == "up" && event["from"] == "alice").await;
    Ok(())
}

#[tokio::test]
async fn everything_said_arrives_on_one_connection() -> Outcome {
    everything_said_arrives("said-single", Mode::Single).await
}

#[tokio::test]
async fn everything_said_arrives_on_two_connections() -> Outcome {
    everything_said_arrives("said-dual", Mode::Dual).await
}

#[tokio::test]
async fn a_screen_is_shared_and_taken_back() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("screen", Mode::Single, SfuOptions::default()).await?;
    let (alice, bob) = call.two().await?;
    bob.sees_and_hears([&alice]).await;

    alice.client("share", json!(true)).await?;
    bob.event("subscribed", |event| event["source"] == "screen_share").await;
    tokio::join!(bob.sees_screen_of(&alice), bob.sees_and_hears([&alice]));

    alice.client("share", json!(false)).await?;
    bob.event("unsubscribed", |event| event["source"] == "screen_share").await;
    bob.sees_and_hears([&alice]).await;
    Ok(())
}

#[tokio::test]
async fn mute_is_seen_and_undone() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("mute", Mode::Dual, SfuOptions::default()).await?;
    let (alice, bob) = call.two().await?;
    bob.sees_and_hears([&alice]).await;

    alice.client("microphone", json!(false)).await?;
    bob.event("muted", |event| event["source"] == "microphone" && event["from"] == "alice").await;
    alice.client("camera", json!(false)).await?;
    bob.event("muted", |event| event["source"] == "camera").await;

    alice.client("microphone", json!(true)).await?;
    alice.client("camera", json!(true)).await?;
    bob.event("unmuted", |event| event["source"] == "camera").await;
    bob.sees_and_hears([&alice]).await;
    Ok(())
}

#[tokio::test]
async fn a_track_is_left_and_taken_again() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("subscription", Mode::Single, SfuOptions::default()).await?;
    let (alice, bob) = call.two().await?;
    bob.sees_and_hears([&alice]).await;
    bob.client("subscribe", json!({ "from": "alice", "source": "camera", "on": false })).await?;
    bob.event("unsubscribed", |event| event["source"] == "camera").await;
    bob.client("subscribe", json!({ "from": "alice", "source": "camera", "on": true })).await?;
    bob.sees_and_hears([&alice]).await;
    Ok(())
}

#[tokio::test]
async fn a_smaller_picture_comes_on_request() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("simulcast", Mode::Single, SfuOptions::default()).await?;
    let (alice, bob) = call.two().await?;
    bob.sees_and_hears([&alice]).await;
    let shown = "() => aura.presented()";
    let width = |presented: &Value| entries(presented).map(|one| number(one, "width")).fold(0.0, f64::max);

    bob.client("quality", json!({ "from": "alice", "source": "camera", "quality": 0 })).await?;
    bob.until("the low layer", shown, |presented| (1.0..=320.0).contains(&width(presented))).await;
    bob.sees_and_hears([&alice]).await;
    bob.client("quality", json!({ "from": "alice", "source": "camera", "quality": 2 })).await?;
    bob.until("the high layer", shown, |presented| width(presented) >= 640.0).await;
    bob.sees_and_hears([&alice]).await;
    Ok(())
}

#[tokio::test]
async fn who_may_not_subscribe_sees_that_before_and_after() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("permitted", Mode::Single, SfuOptions::default()).await?;
    let quiet = json!({ "publish": false });
    let (alice, early) =
        tokio::try_join!(call.join_with("alice", quiet.clone()), call.join_with("early", quiet.clone()))?;
    alice.client("permit", json!({ "all": false, "people": ["somebody"] })).await?;
    alice.client("microphone", json!(true)).await?;
    let late = call.join_with("late", quiet).await?;
    let sees = |status: &'static str| {
        move |people: &Value| {
            entries(people)
                .flat_map(|person| entries(&person["tracks"]))
                .any(|track| track["permission"] == status && track["subscribed"] == (status == "allowed"))
        }
    };
    for window in [&early, &late] {
        window.until("forbidden", "() => client.people()", sees("not_allowed")).await;
    }
    alice.client("permit", json!({ "all": true })).await?;
    for window in [&early, &late] {
        window.until("allowed", "() => client.people()", sees("allowed")).await;
    }
    Ok(())
}

async fn reload_and_come_back(room: &'static str, mode: Mode) -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start(room, mode, SfuOptions::default()).await?;
    let (alice, bob) = call.two().await?;
    bob.sees_and_hears([&alice]).await;

    alice.reload().await?;
    let argument = json!({
        "url": call.sfu.url,
        "token": call.sfu.join_token("alice", room),
        "single": mode == Mode::Single,
    });
    alice.join(argument).await?;
    see_and_hear_each_other(&alice, &bob).await;
    bob.until("one alice, no ghost", "() => client.people()", |people| entries(people).count() == 1).await;
    Ok(())
}

#[tokio::test]
async fn reload_and_come_back_on_one_connection() -> Outcome {
    reload_and_come_back("reload-single", Mode::Single).await
}

#[tokio::test]
async fn reload_and_come_back_on_two_connections() -> Outcome {
    reload_and_come_back("reload-dual", Mode::Dual).await
}

#[tokio::test]
async fn the_same_identity_again_ends_the_first() -> Outcome {
    const DUPLICATE_IDENTITY: u64 = 2;
    let _turn = fixture::turn().await;
    let call = Call::start("duplicate", Mode::Single, SfuOptions::default()).await?;
    let first = call.join("alice").await?;
    let second = call.join("alice").await?;
    first.event("disconnected", |event| event["reason"] == DUPLICATE_IDENTITY).await;
    assert_eq!(second.evaluate("() => client.state()", Value::Null).await?, "connected");
    Ok(())
}

const LIMIT_EXCEEDED: u64 = 3;

/// livekit-client's own fault injection: what it simulates, the server must survive.
async fn recovers_from(room: &'static str, mode: Mode, scenario: &str) -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start(room, mode, SfuOptions::default()).await?;
    let (alice, bob) = call.two().await?;
    see_and_hear_each_other(&alice, &bob).await;
    // She comes back with a token that says what the server let her say of herself.
    let refused = alice.client("metadata", json!("x".repeat(60_000))).await?;
    assert_eq!(refused, json!({ "refused": "exceeds metadata size limit", "reason": LIMIT_EXCEEDED }));
    let metadata = "x".repeat(35_000);
    assert_eq!(alice.client("metadata", json!(metadata)).await?, Value::Null);
    alice.client("simulate", json!(scenario)).await?;
    alice.event("reconnected", |_| true).await;
    see_and_hear_each_other(&alice, &bob).await;
    bob.until("what alice says of herself", "() => client.people()", |people| {
        entries(people).any(|person| person["metadata"] == metadata.as_str())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn resumes_a_lost_signal_on_one_connection() -> Outcome {
    recovers_from("resume-single", Mode::Single, "resume-reconnect").await
}

#[tokio::test]
async fn resumes_a_lost_signal_on_two_connections() -> Outcome {
    recovers_from("resume-dual", Mode::Dual, "resume-reconnect").await
}

#[tokio::test]
async fn reconnects_from_nothing_on_one_connection() -> Outcome {
    recovers_from("full-single", Mode::Single, "full-reconnect").await
}

#[tokio::test]
async fn reconnects_from_nothing_on_two_connections() -> Outcome {
    recovers_from("full-dual", Mode::Dual, "full-reconnect").await
}

#[tokio::test]
async fn a_resume_does_not_interrupt_media() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("gap", Mode::Single, SfuOptions::default()).await?;
    let (alice, bob) = call.two().await?;
    see_and_hear_each_other(&alice, &bob).await;
    bob.watch_gaps([&alice]).await?;
    alice.client("simulate", json!("resume-reconnect")).await?;
    alice.event("reconnected", |_| true).await;
    bob.sees_and_hears([&alice]).await;
    let (audio, video) = bob.gaps().await?;
    assert!(
        audio < Duration::from_secs(2) && video < Duration::from_secs(3),
        "audio {audio:?}, video {video:?}"
    );
    Ok(())
}

/// The codec a publisher asks for is what it sends, what others are told, and what they see, in full size.
async fn publishes_in(codec: &str, mode: Mode) -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("codec", mode, SfuOptions::default()).await?;
    let bob = call.join_with("bob", json!({ "publish": false })).await?;
    if bob.client("encodes", json!(codec)).await? != json!(true) {
        eprintln!("skipped: this browser does not encode {codec}");
        return Ok(());
    }
    let wish = json!({ "options": { "publishDefaults": { "videoCodec": codec } } });
    let alice = call.join_with("alice", wish).await?;
    bob.sees_and_hears([&alice]).await;
    let mime = format!("video/{codec}");
    let is_wanted = |value: &Value| value.as_str().is_some_and(|name| name.eq_ignore_ascii_case(&mime));
    let wide = |stream: &Value| is_wanted(&stream["codec"]) && number(stream, "width") >= 640.0;
    alice
        .until("sends it, in full size", "() => client.sends()", |sends| {
            entries(sends).all(|stream| is_wanted(&stream["codec"])) && entries(sends).any(wide)
        })
        .await;
    bob.until("gets it, in full size", "() => aura.media()", |media| entries(&media["video"]).any(wide))
        .await;
    bob.sees_and_hears([&alice]).await;

    let people = bob.client("people", Value::Null).await?;
    let tracks = entries(&people).flat_map(|person| entries(&person["tracks"]));
    let camera = tracks.into_iter().find(|track| track["source"] == "camera").cloned().unwrap_or_default();
    assert!(is_wanted(&camera["mime"]) && is_wanted(&camera["codecs"][0]), "{camera:#}");
    assert!(entries(&camera["layers"]).any(|height| height.as_f64() >= Some(360.0)), "{camera:#}");
    Ok(())
}

#[tokio::test]
async fn vp8_is_published_on_request() -> Outcome {
    publishes_in("vp8", Mode::Single).await
}

#[tokio::test]
async fn vp9_is_published_on_request() -> Outcome {
    publishes_in("vp9", Mode::Single).await
}

#[tokio::test]
async fn av1_is_published_on_request() -> Outcome {
    publishes_in("av1", Mode::Single).await
}

#[tokio::test]
async fn h264_is_published_on_request_on_two_connections() -> Outcome {
    publishes_in("h264", Mode::Dual).await
}

#[tokio::test]
async fn av1_is_published_on_request_on_two_connections() -> Outcome {
    publishes_in("av1", Mode::Dual).await
}
