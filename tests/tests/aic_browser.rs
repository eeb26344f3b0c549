//! Low bandwidth in the web app: AIC between Chromium pages over a data track, and Opus whenever AIC will not do.
//!
//! Everybody speaks a recording of their own. Thresholds of quality are those of a working
//! link, not of a model: how good the model is, `make bench-aic` says.
#![expect(clippy::print_stdout, reason = "says what it skips, and what was heard")]

use std::path::PathBuf;
use std::time::Duration;

use aic_codec::quality::stoi;
use auralink_tests::{
    Browser, Mode, Outcome, Stack, WebApp, WindowOptions, entries, fixture, id, number, speech, wait,
};
use serde_json::Value;

/// Voice without camera; what happens inside is reachable.
const STORAGE: [(&str, &str); 2] = [
    ("aura.debug", "1"),
    ("aura.media", r#"{"micOn":true,"camOn":false,"audioInput":"","videoInput":"","audioOutput":""}"#),
];
/// The page's settings, with a model of any quality.
const ANY_QUALITY: &str =
    "() => __aura.aic.configure(true, { mode: 'adaptive', minQuality: 0, maxLatencyMs: 1000 })";
const VIEW: &str = "() => __aura.aic.snapshot()";
/// What is heard of the one other person over AIC.
const HEARD: &str = "() => __aura.aic.voices.heard[0] ?? null";
const SENT: &str =
    "() => ({ packets: __aura.aic.sentPackets, bytes: __aura.aic.sentBytes, at: performance.now() })";

struct Site {
    stack: Stack,
    browser: Browser,
    voices: Vec<PathBuf>,
}

impl Site {
    /// As many voices as readers; `None`, with a word about it, where there are no recordings.
    async fn start(readers: &[&str]) -> anyhow::Result<Option<Self>> {
        let (stack, browser) = tokio::try_join!(Stack::start(), Browser::start())?;
        let mut voices = Vec::new();
        for reader in readers {
            let Some(samples) = speech::reader(reader, 20)? else {
                println!("skipped: no recorded speech (shared/data/speech or $AURALINK_TEST_DATA)");
                return Ok(None);
            };
            let wav: PathBuf = stack.folder().join(format!("{reader}.wav"));
            speech::write_wav(&wav, &samples)?;
            voices.push(wav);
        }
        Ok(Some(Self { stack, browser, voices }))
    }

    async fn person(&self, voice: usize, name: &str, options: WindowOptions) -> anyhow::Result<WebApp> {
        let microphone = Some(self.voices[voice].clone());
        let options = WindowOptions { storage: STORAGE.to_vec(), microphone, ..options };
        let app = WebApp::new(self.browser.window(name, options).await?, &self.stack.url);
        app.sign_up(name).await?;
        Ok(app)
    }

    /// Alice and Bob in a room; its invitation.
    async fn meeting(&self) -> anyhow::Result<(WebApp, WebApp, String)> {
        let (alice, bob) = tokio::try_join!(
            self.person(0, "Alice", WindowOptions::default()),
            self.person(1, "Bob", WindowOptions::default())
        )?;
        let room = alice.create_room("Thin line").await?;
        let link = alice.invite_link(&room).await?;
        let page = format!("/room/{room}");
        tokio::try_join!(alice.join(&page, Mode::Single), bob.join(&link, Mode::Single))?;
        for app in [&alice, &bob] {
            app.window.evaluate(ANY_QUALITY, Value::Null).await?;
        }
        Ok((alice, bob, link))
    }
}

async fn switch(app: &WebApp) -> anyhow::Result<()> {
    app.window.click(&id("more")).await?;
    app.window.click(&id("low-bandwidth")).await
}

async fn sends(app: &WebApp, state: &str) -> Value {
    app.window.until(&format!("sends {state}"), VIEW, |view| view["state"] == state).await
}

/// Waits until speech of the other arrives over AIC, loud enough to be speech, and is played.
async fn hears_aic(app: &WebApp, from: &WebApp) {
    app.window
        .until("hears AIC", HEARD, |voice| {
            voice["playing"] == true
                && number(&voice["last"], "decoded") > 50.0
                && number(&voice["last"], "level") > 0.005
        })
        .await;
    app.window.hears([from]).await;
}

/// Waits until no AIC is played any more, nothing turns Opus down, and the other is heard all the same.
async fn hears_opus(app: &WebApp, from: &WebApp) {
    app.window
        .until("plays no AIC", "() => __aura.aic.voices.heard.filter((voice) => voice.playing).length", |n| {
            *n == 0
        })
        .await;
    let volumes =
        "() => [...__aura.room.remoteParticipants.values()].map((person) => person.getVolume('microphone'))";
    app.window.until("Opus is not turned down", volumes, |all| entries(all).all(|volume| *volume != 0)).await;
    app.window.hears([from]).await;
}

async fn hear_aic_of_each_other(one: &WebApp, other: &WebApp) {
    tokio::join!(hears_aic(one, other), hears_aic(other, one));
}

async fn hear_opus_of_each_other(one: &WebApp, other: &WebApp) {
    tokio::join!(hears_opus(one, other), hears_opus(other, one));
}

/// Bytes of RTP payload that audio has taken on the way out.
async fn opus_bytes(app: &WebApp) -> anyhow::Result<f64> {
    let media = app.window.media().await?;
    Ok(entries(&media["sending"])
        .filter(|sent| sent["kind"] == "audio")
        .map(|sent| number(sent, "bytes"))
        .sum())
}

/// Waits until some seconds of what `from` says arrive intelligibly: a busy machine may miss its time now and then.
async fn understands(from: &WebApp, to: &WebApp, identity: &Value) -> anyhow::Result<()> {
    let record = "(identity) => __aura.aic.recording(identity).then((pcm) => [...pcm])";
    wait::until("what is said is understood", Duration::from_secs(60), || async {
        let recordings = tokio::try_join!(
            from.window.evaluate(record, Value::from("")),
            to.window.evaluate(record, identity.clone()),
        );
        let (said, heard) = recordings.map_err(|error| format!("{error:#}"))?;
        let heard = speech::from_page(&heard);
        let best = speech::from_page(&said)
            .windows(3 * speech::RATE as usize)
            .step_by(speech::RATE as usize)
            .filter_map(|said| speech::aligned(said, &heard, 8_000))
            .filter_map(|(said, heard)| stoi(&said, &heard, speech::RATE))
            .fold(0.0, f32::max);
        println!("STOI {best:.3}");
        if best > 0.6 { Ok(()) } else { Err(format!("STOI {best:.3}")) }
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn two_pages_talk_over_aic() -> Outcome {
    let _turn = fixture::turn().await;
    let Some(site) = Site::start(&["2414", "3331"]).await? else { return Ok(()) };
    let (alice, bob, _) = site.meeting().await?;
    tokio::try_join!(switch(&alice), switch(&bob))?;
    tokio::join!(sends(&alice, "aic"), sends(&bob, "aic"));
    hear_aic_of_each_other(&alice, &bob).await;

    // What it costs: nothing as RTP, about 6 kbit/s as data.
    let (opus, start) = (opus_bytes(&alice).await?, alice.window.evaluate(SENT, Value::Null).await?);
    let end = alice
        .window
        .until("sends for a while", SENT, |now| number(now, "at") > number(&start, "at") + 6_000.0)
        .await;
    let seconds = (number(&end, "at") - number(&start, "at")) / 1000.0;
    let kbps = (number(&end, "bytes") - number(&start, "bytes")) * 8.0 / 1000.0 / seconds;
    let opus_kbps = (opus_bytes(&alice).await? - opus) * 8.0 / 1000.0 / seconds;
    println!("AIC {kbps:.2} kbit/s, Opus {opus_kbps:.2} kbit/s");
    assert!((1.0..12.0).contains(&kbps), "{kbps} kbit/s of AIC");
    assert!(opus_kbps < 0.5, "{opus_kbps} kbit/s of Opus");

    // What arrives is what was said.
    let me = alice.window.evaluate("() => __aura.room.localParticipant.identity", Value::Null).await?;
    understands(&alice, &bob, &me).await?;

    // Who speaks is still seen, and mute still mutes.
    let tile =
        format!("[data-testid=participant-tile][data-identity=\"{}\"]", me.as_str().unwrap_or_default());
    bob.window.see(&format!("{tile}[data-speaking=true]")).await?;
    alice.window.click(&id("mic")).await?;
    bob.window.until("falls silent", HEARD, |voice| number(&voice["last"], "level") < 0.001).await;
    bob.window.see(&format!("{tile}[data-speaking=false]")).await?;
    alice.window.click(&id("mic")).await?;
    hears_aic(&bob, &alice).await;

    // Switched off by one, AIC goes on while the other wants it; by both, everything is as before.
    switch(&alice).await?;
    hears_aic(&bob, &alice).await;
    switch(&bob).await?;
    tokio::join!(sends(&alice, "idle"), sends(&bob, "idle"));
    hear_opus_of_each_other(&alice, &bob).await;
    Ok(())
}

#[tokio::test]
async fn a_dead_worker_and_a_stranger_bring_opus_back_for_a_while() -> Outcome {
    let _turn = fixture::turn().await;
    let Some(site) = Site::start(&["2414", "3331"]).await? else { return Ok(()) };
    let (alice, bob, link) = site.meeting().await?;
    tokio::try_join!(switch(&alice), switch(&bob))?;
    tokio::join!(sends(&alice, "aic"), sends(&bob, "aic"));
    hear_aic_of_each_other(&alice, &bob).await;

    alice.window.evaluate("() => __aura.aic.host.kill()", Value::Null).await?;
    let view = sends(&alice, "low").await;
    assert_eq!(view["reason"], "unavailable", "{view:#}");
    hear_opus_of_each_other(&alice, &bob).await;
    let counted =
        alice.window.evaluate("() => __aura.aic.chooser.fallbacks.unavailable", Value::Null).await?;
    assert_eq!(counted, 1);
    // A new worker takes over.
    tokio::join!(sends(&alice, "aic"), sends(&bob, "aic"));
    hear_aic_of_each_other(&alice, &bob).await;

    let stranger = WindowOptions { blocked: vec!["**/aic-*.wasm"], ..WindowOptions::default() };
    let carol = site.person(0, "Carol", stranger).await?;
    carol.join(&link, Mode::Single).await?;
    for app in [&alice, &bob] {
        let view = sends(app, "low").await;
        assert_eq!(view["reason"], "unavailable", "{view:#}");
    }
    carol.window.hears([&alice, &bob]).await;
    // As little as Opus can do with: she has no choice.
    let (bytes, start) = (opus_bytes(&alice).await?, alice.window.evaluate(SENT, Value::Null).await?);
    let now = alice
        .window
        .until("sends for a while", SENT, |now| number(now, "at") > number(&start, "at") + 4_000.0)
        .await;
    let kbps = (opus_bytes(&alice).await? - bytes) * 8.0 / (number(&now, "at") - number(&start, "at"));
    println!("Opus at its least: {kbps:.1} kbit/s");
    assert!((1.0..24.0).contains(&kbps), "{kbps} kbit/s of Opus");

    carol.window.click(&id("leave")).await?;
    tokio::join!(sends(&alice, "aic"), sends(&bob, "aic"));
    hear_aic_of_each_other(&alice, &bob).await;
    Ok(())
}

/// The switch and what it says, judged by axe and used by keyboard.
async fn the_switch(dark: bool) -> Outcome {
    let _turn = fixture::turn().await;
    let Some(site) = Site::start(&["2414"]).await? else { return Ok(()) };
    let alice = site.person(0, "Alice", WindowOptions { dark, ..WindowOptions::default() }).await?;
    let room = alice.create_room("Thin line").await?;
    alice.join(&format!("/room/{room}"), Mode::Single).await?;
    let window = &alice.window;

    window.evaluate(ANY_QUALITY, Value::Null).await?;
    window.evaluate("(id) => document.querySelector(id).focus()", Value::from(id("more"))).await?;
    window.key("Enter").await?;
    window.see(&id("low-bandwidth")).await?;
    window.is_accessible("menu with low bandwidth").await;
    while window
        .evaluate("(id) => document.activeElement?.matches(id) ?? false", Value::from(id("low-bandwidth")))
        .await?
        != true
    {
        window.key("ArrowDown").await?;
    }
    window.key("Enter").await?;
    sends(&alice, "aic").await;
    let status = id("low-bandwidth-status");
    window.see(&status).await?;
    window.evaluate("(id) => document.querySelector(id).focus()", Value::from(status.clone())).await?;
    window.key("Enter").await?;
    window.see("[role=switch]").await?;
    window.is_accessible("low bandwidth").await;
    // The focus is on the switch: the space bar turns it off, and with that the status goes.
    window.key(" ").await?;
    window.see_gone(&status).await?;
    sends(&alice, "idle").await;
    Ok(())
}

#[tokio::test]
async fn the_switch_in_the_light() -> Outcome {
    the_switch(false).await
}

#[tokio::test]
async fn the_switch_in_the_dark() -> Outcome {
    the_switch(true).await
}
