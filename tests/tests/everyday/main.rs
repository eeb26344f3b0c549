//! What people meet every day: long names, devices that are refused, the browser's Back, a lost connection, a reload.

use std::time::Duration;

use anyhow::Context;
use auralink_tests::layout::{dismiss_toasts, fits, suits_fingers, toasts_are_out_of_the_way};
use auralink_tests::{
    Browser, Mode, Outcome, PythonParticipant, SfuOptions, Stack, WebApp, WindowOptions, fixture, id, number,
};
use reqwest::Method;
use serde_json::{Value, json};

mod calls;
mod keys;

struct Site {
    browser: Browser,
    stack: Stack,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let (stack, browser) =
            tokio::try_join!(Stack::start_with(SfuOptions::default(), Vec::new()), Browser::start())?;
        Ok(Self { browser, stack })
    }

    async fn window(&self, name: &str, phone: bool) -> anyhow::Result<WebApp> {
        let storage = vec![("aura.debug", "1")];
        let options = WindowOptions { storage, phone, dark: phone, ..WindowOptions::default() };
        Ok(WebApp::new(self.browser.window(name, options).await?, &self.stack.url))
    }

    async fn person(&self, name: &str) -> anyhow::Result<WebApp> {
        let app = self.window(name, false).await?;
        app.sign_up(name).await?;
        Ok(app)
    }

    fn page(&self, path: &str) -> String {
        format!("{}{path}", self.stack.url)
    }

    /// Two people who have just signed up.
    async fn alice_and_bob(&self) -> anyhow::Result<(WebApp, WebApp)> {
        tokio::try_join!(self.person("Alice"), self.person("Bob"))
    }
}

#[tokio::test]
async fn long_names_push_nothing_away() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let (wide, family, hebrew) = ("W".repeat(80), "👩‍👩‍👧‍👦".repeat(7), "שלום".repeat(25));

    let alice = site.person("Alice").await?;
    alice.window.goto(&site.page("/settings")).await?;
    alice.window.fill(&id("display-name"), &wide).await?;
    alice.window.click(&id("submit")).await?;
    alice.window.see(".settings-save [role=status]:has-text(\"Saved\")").await?;
    fits(&alice.window, "settings").await?;
    let room = alice.create_room(&hebrew).await?;
    fits(&alice.window, "home").await?;
    let link = alice.invite_link(&room).await?;
    fits(&alice.window, "invitation").await?;
    alice.join(&format!("/room/{room}"), Mode::Single).await?;

    let phone = site.window("Phone", true).await?;
    phone.window.goto(&link).await?;
    phone.window.fill(&id("display-name"), &family).await?;
    fits(&phone.window, "before the meeting").await?;
    suits_fingers(&phone.window, "before the meeting").await?;
    // Who is still coming in is not told of those who are there. Notices go by themselves: each is awaited from the start.
    let state = "() => window.__aura?.room.state";
    alice.window.until("she is in", state, |state| *state == "connected").await;
    phone.window.click(&id("join")).await?;
    let (leave, toast) = (id("leave"), id("toast"));
    tokio::try_join!(phone.window.see(&leave), alice.window.see(&toast))?;
    toasts_are_out_of_the_way(&alice.window, "somebody joins").await?;
    fits(&alice.window, "meeting").await?;
    phone.window.see(&format!("{}:has-text(\"WWW\")", id("participant-tile"))).await?;
    fits(&phone.window, "meeting").await?;
    suits_fingers(&phone.window, "meeting").await?;

    let file = site.stack.folder().join(format!("{}.txt", "M".repeat(100)));
    std::fs::write(&file, "minutes")?;
    alice.window.click(&id("files-toggle")).await?;
    alice.window.upload(&id("file-input"), &file).await?;
    let row = id("file-row");
    tokio::try_join!(alice.window.see(&row), phone.window.see(&toast))?;
    toasts_are_out_of_the_way(&phone.window, "a file is new").await?;
    dismiss_toasts(&alice.window).await;
    fits(&alice.window, "files").await?;
    alice.window.click(&id("participants-toggle")).await?;
    alice.window.see(&id("participant-actions")).await?;
    fits(&alice.window, "people").await?;

    let words = format!("{} {hebrew} www.{}.example", "x".repeat(300), "long".repeat(15));
    phone.chat(&words).await?;
    alice.window.see(&id("toast")).await?;
    toasts_are_out_of_the_way(&alice.window, "a message comes").await?;
    alice.reads("xxx").await?;
    alice.chat("short").await?;
    phone.reads("short").await?;
    for app in [&alice, &phone] {
        dismiss_toasts(&app.window).await;
        fits(&app.window, "chat").await?;
    }
    suits_fingers(&phone.window, "chat").await?;
    for panel in ["People", "Files"] {
        phone.window.click("aside header button").await?;
        phone.window.click(&id("more")).await?;
        suits_fingers(&phone.window, "menu").await?;
        phone.window.click(&format!("[role=menuitem]:has-text(\"{panel}\")")).await?;
        phone.window.see("aside").await?;
        fits(&phone.window, panel).await?;
        suits_fingers(&phone.window, panel).await?;
    }

    // What was said in the meeting stays there.
    alice.window.key("Escape").await?;
    phone.window.click("aside header button").await?;
    phone.chat("bye").await?;
    alice.window.see(&id("toast")).await?;
    alice.window.click(&id("leave")).await?;
    alice.window.see(&id("rejoin")).await?;
    assert_eq!(alice.window.count(&id("toast")).await?, 0);
    Ok(())
}

/// Counts what is played from now on, in sample energy, and still sends it to the speaker.
const LISTEN: &str = r"() => {
  const heard = (globalThis.__heard = { energy: 0, ended: false });
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    if (this.src.startsWith('blob:')) {
      const context = new AudioContext();
      const analyser = context.createAnalyser();
      context.createMediaElementSource(this).connect(analyser).connect(context.destination);
      const samples = new Float32Array(analyser.fftSize);
      const timer = setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        heard.energy += samples.reduce((sum, sample) => sum + sample * sample, 0);
      }, 20);
      this.addEventListener('ended', () => { heard.ended = true; clearInterval(timer); });
    }
    return play.call(this);
  };
}";

/// The browser refuses microphone and camera until `__allow` is called, as it does after a click on “Block”.
const REFUSE: &str = r"() => {
  const media = navigator.mediaDevices;
  const ask = media.getUserMedia.bind(media);
  media.getUserMedia = () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError'));
  globalThis.__allow = () => { media.getUserMedia = ask; };
}";

#[tokio::test]
async fn before_the_meeting_refused_devices_show_and_the_test_sound_plays() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let alice = site.person("Alice").await?;
    let window = &alice.window;
    alice.create_room("Stand-up").await?;
    window.evaluate(REFUSE, Value::Null).await?;
    window.click(&id("room-open")).await?;
    for device in ["mic", "cam"] {
        window.see(&format!("{}[data-problem=\"blocked\"][aria-pressed=\"false\"]", id(device))).await?;
    }
    window.see(".notice-warning:has-text(\"site settings\")").await?;
    window.is_accessible("refused devices").await;
    window.evaluate("() => __allow()", Value::Null).await?;
    for device in ["mic", "cam"] {
        window.click(&id(device)).await?;
        window.see(&format!("{}[aria-pressed=\"true\"]:not([data-problem])", id(device))).await?;
    }

    window.evaluate(LISTEN, Value::Null).await?;
    window.click(&id("speaker-test")).await?;
    window
        .until("the test sound is heard to its end", "() => __heard", |heard| {
            heard["ended"] == true && number(heard, "energy") > 1.0
        })
        .await;
    window.see(&format!("{}:not([disabled])", id("speaker-test"))).await?;
    assert_eq!(window.count(".prejoin-device .field-error").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_lost_connection_shows_long_before_it_is_given_up() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let alice = site.person("Alice").await?;
    let room = alice.create_room("Stand-up").await?;
    let link = alice.invite_link(&room).await?;
    let token = link.rsplit('/').next().context("a link ends in its token")?;
    alice.join(&format!("/room/{room}"), Mode::Single).await?;

    let path = format!("/invites/{token}/join");
    let (_, join) =
        site.stack.api().send(Method::POST, &path, None, Some(&json!({ "display_name": "Bob" }))).await?;
    let text = |name: &str| join[name].as_str().unwrap_or_default().to_owned();
    let bob = PythonParticipant::join(&text("url"), &text("token"), true).await?;
    let tile = format!("{}[data-identity=\"{}\"]", id("participant-tile"), text("identity"));
    bob.publish().await?;
    alice.window.see(&format!("{tile} video")).await?;
    assert_eq!(alice.window.count(&id("tile-lost")).await?, 0);

    // The process is killed: nobody says goodbye.
    drop(bob);
    let lost = format!("{tile} {}", id("tile-lost"));
    let shown = tokio::time::timeout(Duration::from_secs(15), alice.window.see(&lost)).await;
    shown.context("it takes as long as giving the connection up would")??;
    Ok(())
}

/// What is on, and which microphone it is.
const DEVICES: &str = r"() => {
  const room = window.__aura?.room;
  const on = (name) => document.querySelector(`[data-testid=${name}]`)?.dataset.on;
  const microphone = room?.localParticipant.getTrackPublication('microphone')?.track?.mediaStreamTrack;
  return { state: room?.state, mic: on('mic'), cam: on('cam'), microphone: microphone?.getSettings().deviceId ?? '' };
}";

#[tokio::test]
async fn a_reload_comes_back_as_it_was() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let alice = site.person("Alice").await?;
    let window = &alice.window;
    let room = alice.create_room("Stand-up").await?;
    alice.join(&format!("/room/{room}"), Mode::Single).await?;
    window.see(&format!("{}[data-on=\"true\"]", id("mic"))).await?;
    window.click(&id("mic-devices")).await?;
    window.click(".devices .device:nth-of-type(2)").await?;
    window.key("Escape").await?;
    window.click(&id("cam")).await?;
    window.see(&format!("{}[data-on=\"false\"]", id("cam"))).await?;
    let chosen = |now: &Value| !["", "default"].contains(&now["microphone"].as_str().unwrap_or_default());
    let before = window.until("the other microphone is in use", DEVICES, chosen).await;

    window.reload().await?;
    let same = |now: &Value| *now == before;
    window.until("the same is on, from the same devices", DEVICES, same).await;

    // What was on belongs to the meeting: the next one is not silent because of it.
    let stored = "() => sessionStorage.getItem('aura.in-meeting.devices')";
    assert_eq!(window.evaluate(stored, Value::Null).await?, "{\"mic\":true,\"cam\":false}");
    window.click(&id("leave")).await?;
    window.see(&id("rejoin")).await?;
    assert_eq!(window.evaluate(stored, Value::Null).await?, Value::Null);
    Ok(())
}

#[tokio::test]
async fn dead_links_lead_on_and_files_say_who_sees_them() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let alice = site.window("Alice", false).await?;
    let window = &alice.window;
    window.goto(&site.page("/share/no-such-token-0000000000000000")).await?;
    window.click(&id("way-out")).await?;
    window.see(&id("password")).await?;
    alice.sign_up("Alice").await?;
    window.goto(&site.page("/share/no-such-token-0000000000000000")).await?;
    window.click(&id("way-out")).await?;
    window.see(&id("account")).await?;

    let folder = site.stack.folder();
    for name in ["mine.txt", "ours.txt"] {
        std::fs::write(folder.join(name), name)?;
    }
    let room = alice.create_room("Stand-up").await?;
    alice.join(&format!("/room/{room}"), Mode::Single).await?;
    window.click(&id("files-toggle")).await?;
    window.upload(&id("file-input"), &folder.join("ours.txt")).await?;
    window.see(&id("file-row")).await?;
    assert_eq!(window.count(&id("file-room")).await?, 0, "in the room that goes without saying");
    window.goto(&site.page("/files")).await?;
    window.upload(&id("file-input"), &folder.join("mine.txt")).await?;
    let row = |name: &str| format!("{}:has-text(\"{name}\")", id("file-row"));
    window.see(&row("mine.txt")).await?;
    window.see(&format!("{} {}", row("ours.txt"), id("file-room"))).await?;
    assert_eq!(window.count(&format!("{} {}", row("mine.txt"), id("file-room"))).await?, 0);
    window.is_accessible("files").await;
    Ok(())
}

/// What is sent of the camera, layer by layer, and what comes of the other's.
const VIDEO: &str = r"async () => {
  const { localParticipant, remoteParticipants } = window.__aura.room;
  const [own] = localParticipant.videoTrackPublications.values();
  const layers = own?.track?.sender?.getParameters().encodings ?? [];
  const others = [...remoteParticipants.values()].flatMap((one) => [...one.videoTrackPublications.values()]);
  const widths = others.map(async ({ track }) => {
    const stats = await track?.getRTCStatsReport();
    return [...(stats?.values() ?? [])].find(({ type }) => type === 'inbound-rtp')?.frameWidth ?? 0;
  });
  return {
    layers: layers.filter(({ active }) => active).length,
    cheapest: Math.min(...layers.map(({ maxBitrate }) => maxBitrate ?? 1e9)),
    frames: Math.min(...layers.map(({ maxFramerate }) => maxFramerate ?? 1e9)),
    received: others.filter(({ isSubscribed }) => isSubscribed).length,
    width: Math.max(0, ...(await Promise.all(widths))),
  };
}";

#[tokio::test]
async fn the_data_saver_makes_video_small_or_stops_it() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let (alice, bob) = site.alice_and_bob().await?;
    let room = alice.create_room("Stand-up").await?;
    let link = alice.invite_link(&room).await?;
    let page = format!("/room/{room}");
    tokio::try_join!(alice.join(&page, Mode::Single), bob.join(&link, Mode::Single))?;
    let all = |video: &Value| number(video, "layers") > 1.0 && number(video, "received") == 1.0;
    for app in [&alice, &bob] {
        app.window.until("video flows", VIDEO, all).await;
    }

    alice.window.click(&id("more")).await?;
    alice.window.click(&id("low-bandwidth")).await?;
    alice
        .window
        .until("video is small, both ways", VIDEO, |video| {
            number(video, "layers") == 1.0
                && number(video, "cheapest") <= 120_000.0
                && number(video, "frames") <= 12.0
                && (1.0..=320.0).contains(&number(video, "width"))
        })
        .await;
    alice.window.sees([&bob]).await;
    alice.window.click(&id("low-bandwidth-status")).await?;
    alice.window.click(&id("no-video")).await?;
    alice.window.see(&id("tile-saved")).await?;
    alice.window.until("no video comes", VIDEO, |video| number(video, "received") == 0.0).await;
    alice.window.is_accessible("data saver").await;

    alice.window.click(&id("no-video")).await?;
    alice.window.until("video comes again", VIDEO, |video| number(video, "received") == 1.0).await;
    alice.window.sees([&bob]).await;
    alice.window.click(".low-details [role=switch]").await?;
    alice
        .window
        .until("video is what it was", VIDEO, |video| all(video) && number(video, "cheapest") > 120_000.0)
        .await;
    bob.window.until("the other side never stopped", VIDEO, all).await;
    tokio::join!(alice.window.sees([&bob]), bob.window.sees([&alice]));
    Ok(())
}
