//! Data tracks between clients nobody here wrote: LiveKit's own in two Chromium windows, and its Python client.

use std::cell::Cell;
use std::time::Duration;

use auralink_tests::{Browser, Outcome, PythonParticipant, Sfu, SfuOptions, Window, entries, fixture, wait};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

struct Call {
    browser: Browser,
    sfu: Sfu,
    room: &'static str,
    single: bool,
}

impl Call {
    async fn start(room: &'static str, single: bool) -> anyhow::Result<Self> {
        let (sfu, browser) = tokio::try_join!(Sfu::start(SfuOptions::default()), Browser::start())?;
        Ok(Self { browser, sfu, room, single })
    }

    async fn join(&self, identity: &str) -> anyhow::Result<Window> {
        let window = self.browser.protocol_page(identity).await?;
        let argument = json!({
            "url": self.sfu.url,
            "token": self.sfu.join_token(identity, self.room),
            "single": self.single,
            "publish": false,
        });
        window.join(argument).await?;
        Ok(window)
    }

    /// Alice publishes the track `aic`, and Bob has subscribed to it.
    async fn two(&self) -> anyhow::Result<(Window, Window)> {
        let (alice, bob) = tokio::try_join!(self.join("alice"), self.join("bob"))?;
        alice.client("publishData", json!("aic")).await?;
        subscribe(&bob).await?;
        Ok((alice, bob))
    }
}

async fn subscribe(window: &Window) -> anyhow::Result<()> {
    let heard = json!({ "from": "alice", "name": "aic" });
    window.event("data_published", |event| event["track"] == "aic" && event["from"] == "alice").await;
    window.client("subscribeData", heard).await.map(drop)
}

/// Alice sends frames from number `from` on until `window` has heard one of them; the first that is free then.
async fn until_heard(alice: &Window, window: &Window, from: u32) -> anyhow::Result<u32> {
    let mut next = from;
    loop {
        anyhow::ensure!(next < from + 600, "frames from {from} on are never heard: {}", heard(window).await?);
        alice.client("pushData", json!({ "name": "aic", "from": next, "to": next + 5 })).await?;
        next += 5;
        if numbers(&heard(window).await?).iter().any(|number| *number >= from) {
            return Ok(next);
        }
    }
}

async fn heard(window: &Window) -> anyhow::Result<Value> {
    window.client("heardData", json!({ "from": "alice", "name": "aic" })).await
}

fn numbers(heard: &Value) -> Vec<u32> {
    entries(&heard["numbers"]).filter_map(|number| u32::try_from(number.as_u64()?).ok()).collect()
}

/// Waits until `window` has heard frame `last` or a later one; all it has heard, in the order it came.
async fn heard_up_to(window: &Window, last: u32) -> Vec<u32> {
    let source = "() => client.heardData({ from: 'alice', name: 'aic' })";
    let heard =
        window.until("frames", source, |heard| numbers(heard).iter().any(|number| *number >= last)).await;
    assert_eq!(heard["faults"], json!([]), "{heard}");
    numbers(&heard)
}

fn is_increasing(numbers: &[u32]) -> bool {
    numbers.is_sorted_by(|a, b| a < b)
}

async fn frames_arrive_in_order(room: &'static str, single: bool) -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start(room, single).await?;
    let (alice, bob) = call.two().await?;
    let next = until_heard(&alice, &bob, 1).await?;

    // Two seconds of a voice: small frames, many of them.
    alice.client("pushData", json!({ "name": "aic", "from": next, "to": next + 100, "pause": 20 })).await?;
    let voice = heard_up_to(&bob, next + 98).await;
    assert!(is_increasing(&voice), "{voice:?}");
    let arrived = voice.iter().filter(|number| **number >= next).count();
    assert!(arrived >= 95, "{arrived} of 100 frames over loopback");

    // Frames of many packets each.
    let big = json!({ "name": "aic", "from": next + 100, "to": next + 110, "size": 100_000, "pause": 50 });
    alice.client("pushData", big).await?;
    assert!(is_increasing(&heard_up_to(&bob, next + 108).await));
    Ok(())
}

#[tokio::test]
async fn frames_arrive_in_order_on_one_connection() -> Outcome {
    frames_arrive_in_order("data-single", true).await
}

#[tokio::test]
async fn frames_arrive_in_order_on_two_connections() -> Outcome {
    frames_arrive_in_order("data-dual", false).await
}

#[tokio::test]
async fn who_comes_later_hears_the_present_and_nobody_hears_the_past() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("data-late", true).await?;
    let (alice, bob) = call.two().await?;
    let next = until_heard(&alice, &bob, 1).await?;

    let carol = call.join("carol").await?;
    subscribe(&carol).await?;
    until_heard(&alice, &carol, next).await?;
    let late = numbers(&heard(&carol).await?);
    assert!(late[0] >= next && is_increasing(&late), "{late:?} after {next}");
    Ok(())
}

#[tokio::test]
async fn an_unpublished_track_ends_and_may_come_again() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("data-unpublish", true).await?;
    let (alice, bob) = call.two().await?;
    let refused = alice.client("publishData", json!("aic")).await?;
    assert_eq!(refused["refused"], "DuplicateName");
    let next = until_heard(&alice, &bob, 1).await?;

    alice.client("unpublishData", json!("aic")).await?;
    bob.event("data_unpublished", |_| true).await;
    let source = "() => client.heardData({ from: 'alice', name: 'aic' })";
    bob.until("the end of the track", source, |heard| heard["ended"] == true).await;

    let sid = alice.client("publishData", json!("aic")).await?;
    bob.event("data_published", |event| event["sid"] == sid).await;
    bob.client("subscribeData", json!({ "from": "alice", "name": "aic" })).await?;
    until_heard(&alice, &bob, next).await?;
    Ok(())
}

#[tokio::test]
async fn lost_packets_stall_nothing() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("data-loss", true).await?;
    let (alice, bob) = call.two().await?;
    let next = until_heard(&alice, &bob, 1).await?;
    alice.client("loseData", json!(3)).await?;

    alice.client("pushData", json!({ "name": "aic", "from": next, "to": next + 90, "pause": 5 })).await?;
    let voice = heard_up_to(&bob, next + 88).await;
    let arrived = voice.iter().filter(|number| **number >= next).count();
    assert!(is_increasing(&voice) && (50..=60).contains(&arrived), "{arrived} of 90: {voice:?}");

    // Of frames of two packets, one in three lost, some arrive whole; none arrives damaged.
    let last = next + 90;
    let big = json!({ "name": "aic", "from": last, "to": last + 30, "size": 30_000, "pause": 20 });
    alice.client("pushData", big).await?;
    let whole = heard_up_to(&bob, last + 25).await;
    let arrived = whole.iter().filter(|number| **number >= last).count();
    assert!(is_increasing(&whole) && (5..30).contains(&arrived), "{arrived} of 30: {whole:?}");
    Ok(())
}

#[tokio::test]
async fn hostile_packets_reach_nobody_and_stop_nothing() -> Outcome {
    let _turn = fixture::turn().await;
    let mut call = Call::start("data-hostile", true).await?;
    let (alice, bob) = call.two().await?;
    let eve = call.join("eve").await?;
    eve.client("publishData", json!("aic")).await?;
    let next = until_heard(&alice, &bob, 1).await?;
    eve.client("garbageData", Value::Null).await?;
    until_heard(&alice, &bob, next).await?;
    let heard = heard(&bob).await?;
    assert!(heard["faults"] == json!([]) && is_increasing(&numbers(&heard)), "{heard}");
    assert_eq!(eve.evaluate("() => client.state()", Value::Null).await?, "connected");
    assert!(call.sfu.is_alive());
    Ok(())
}

#[tokio::test]
async fn a_resumed_session_keeps_its_data_tracks() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("data-resume", true).await?;
    let (alice, bob) = call.two().await?;
    let mut next = until_heard(&alice, &bob, 1).await?;
    for window in [&bob, &alice] {
        window.client("simulate", json!("signal-reconnect")).await?;
        window.event("reconnected", |_| true).await;
        next = until_heard(&alice, &bob, next).await?;
    }
    let heard = heard(&bob).await?;
    assert!(is_increasing(&numbers(&heard)) && heard["ended"] == false, "one stream throughout: {heard}");
    Ok(())
}

#[tokio::test]
async fn a_new_session_gets_its_data_tracks_back() -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start("data-full", true).await?;
    let (alice, bob) = call.two().await?;
    let next = until_heard(&alice, &bob, 1).await?;

    // A new session of the subscriber: livekit-client ends its streams with the old one.
    bob.client("simulate", json!("full-reconnect")).await?;
    bob.event("reconnected", |_| true).await;
    bob.client("subscribeData", json!({ "from": "alice", "name": "aic" })).await?;
    let next = until_heard(&alice, &bob, next).await?;

    // A new session of the publisher: to others a new participant, whose track comes back by itself.
    let before = entries(&bob.evaluate("() => client.events", Value::Null).await?).count();
    alice.client("simulate", json!("full-reconnect")).await?;
    alice.event("reconnected", |_| true).await;
    let since = format!("() => client.events.slice({before})");
    bob.until("the track again", &since, |events| {
        entries(events).any(|event| event["name"] == "data_published")
    })
    .await;
    bob.client("subscribeData", json!({ "from": "alice", "name": "aic" })).await?;
    until_heard(&alice, &bob, next).await?;
    Ok(())
}

async fn python_and_the_browser(room: &'static str, single: bool) -> Outcome {
    let _turn = fixture::turn().await;
    let call = Call::start(room, single).await?;
    let alice = call.join("alice").await?;
    let python = PythonParticipant::join(&call.sfu.url, &call.sfu.join_token("python", room), single).await?;

    alice.client("publishData", json!("aic")).await?;
    python.event("data_published", |event| event["from"] == "alice").await;
    let text = |error: anyhow::Error| format!("{error:#}");
    let next = Cell::new(1);
    wait::until("python hears alice", LIMIT, || async {
        let from = next.replace(next.get() + 5);
        alice
            .client("pushData", json!({ "name": "aic", "from": from, "to": from + 5 }))
            .await
            .map_err(text)?;
        let heard = python.call("heard_data", json!({})).await.map_err(text)?;
        let frames = &heard["alice/aic"];
        let intact = entries(frames).all(|frame| frame[1] == true);
        assert!(intact, "{heard}");
        if entries(frames).count() > 10 { Ok(()) } else { Err(heard.to_string()) }
    })
    .await;

    python.call("publish_data", json!({ "name": "back" })).await?;
    alice.event("data_published", |event| event["from"] == "python").await;
    alice.client("subscribeData", json!({ "from": "python", "name": "back" })).await?;
    let next = Cell::new(1);
    wait::until("alice hears python", LIMIT, || async {
        // Several packets each.
        let frame = json!({ "name": "back", "number": next.replace(next.get() + 1), "size": 40_000 });
        python.call("push_data", frame).await.map_err(text)?;
        let heard =
            alice.client("heardData", json!({ "from": "python", "name": "back" })).await.map_err(text)?;
        assert_eq!(heard["faults"], json!([]), "{heard}");
        if numbers(&heard).len() > 10 { Ok(()) } else { Err(heard.to_string()) }
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn python_and_the_browser_hear_each_other_on_one_connection() -> Outcome {
    python_and_the_browser("data-python-single", true).await
}

#[tokio::test]
async fn python_and_the_browser_hear_each_other_on_two_connections() -> Outcome {
    python_and_the_browser("data-python-dual", false).await
}
