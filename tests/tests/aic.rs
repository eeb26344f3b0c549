//! AIC in calls: native participants and a browser hear each other, cheaply, through losses, crashes and everything that
//! makes a speaker fall back to Opus.
//!
//! Judged by energy and intelligibility (STOI) against what was said. The floors are for the model that is in the
//! repository, far above what a wrong or garbled stream scores; how good the codec is stands in docs/benchmarks.
#![expect(clippy::print_stderr, reason = "what was measured is printed")]

use std::time::Duration;

use aic_codec::control::Reason;
use aic_codec::control::ladder::Opus;
use aic_codec::{Model, opus};
use aura_room::aic::Settings;
use aura_room::{LocalTrack, PublishOptions, Room, RoomOptions, SignalMode};
use aura_types::{Clock as _, SystemClock};
use auralink_tests::aic::{AicPerson, Clip, CodecService, Heard, PersonOptions, chords, judge, speech};
use auralink_tests::speech::{RATE, from_page, write_wav};
use auralink_tests::{Browser, Outcome, Sfu, SfuOptions, Window, WindowOptions, fixture, wait};
use serde_json::{Value, json};

/// Everything but a machine that is dead has happened by then.
const LIMIT: Duration = Duration::from_secs(60);
/// What AIC alone must reach, what AIC and then Opus, and what Opus alone.
const AIC_STOI: f32 = 0.60;
const TANDEM_STOI: f32 = 0.55;
const OPUS_STOI: f32 = 0.70;

/// Quality is not the subject but for where it is: never fall back for its sake.
fn tolerant() -> Settings {
    Settings { min_quality: 0.0, max_latency_ms: 1_000.0, ..Settings::default() }
}

fn options(model: &Model) -> PersonOptions {
    PersonOptions { settings: tolerant(), ..PersonOptions::new(model) }
}

/// An SFU, with the service as its edge transcoder if there is one.
async fn sfu(service: Option<&CodecService>, more: Vec<(&'static str, String)>) -> anyhow::Result<Sfu> {
    let mut env = more;
    env.extend(service.map(|service| ("AURA_SFU__AIC__GRPC_URL", service.grpc_url.clone())));
    Sfu::start(SfuOptions { env, ..SfuOptions::default() }).await
}

/// A page that speaks `clip` and can be asked what it hears.
struct Page {
    window: Window,
    _browser: Browser,
}

impl Page {
    async fn join(sfu: &Sfu, room: &str, clip: &Clip) -> anyhow::Result<Self> {
        let wav = fixture::log("microphone").with_extension("wav");
        write_wav(&wav, &clip.samples)?;
        let browser = Browser::start().await?;
        let options = WindowOptions { microphone: Some(wav), ..WindowOptions::default() };
        let window = browser.protocol_page_with("page", options).await?;
        let raw = json!({ "echoCancellation": false, "noiseSuppression": false, "autoGainControl": false });
        let join = json!({
            "url": sfu.url, "token": sfu.join_token("page", room), "publish": false,
            "options": { "audioCaptureDefaults": raw },
        });
        window.join(join).await?;
        window.client("microphone", json!(true)).await?;
        Ok(Self { window, _browser: browser })
    }

    /// Records from now on what the page's element for one participant plays.
    async fn record(&self, identity: &str) -> anyhow::Result<()> {
        let script = "async (identity) => {
          const audio = () => document.querySelector(`audio[data-owner='${identity}']`);
          while (!audio()?.srcObject) await new Promise((resolve) => setTimeout(resolve, 50));
          const context = new AudioContext({ sampleRate: 16000 });
          const source = context.createMediaStreamSource(audio().srcObject);
          const recorder = context.createScriptProcessor(4096, 1, 1);
          const samples = [];
          recorder.onaudioprocess = ({ inputBuffer }) => {
            for (const sample of inputBuffer.getChannelData(0)) samples.push(Math.round(sample * 32767));
          };
          source.connect(recorder).connect(context.destination);
          (globalThis.recordings ??= {})[identity] = samples;
        }";
        self.window.evaluate(script, json!(identity)).await.map(drop)
    }

    /// Waits until it hears `clip` from `identity`, said from now on.
    async fn hears(&self, identity: &str, clip: &Clip, stoi: f32) -> anyhow::Result<Heard> {
        let clear = "(identity) => { recordings[identity].length = 0; }";
        let take = "(identity) => recordings[identity].splice(0, 96000)";
        self.window.evaluate(clear, json!(identity)).await?;
        let what = format!("{} heard by the page", clip.name);
        let heard = wait::until(&what, LIMIT, || async {
            let length = "(identity) => recordings[identity].length";
            let have = self.window.evaluate(length, json!(identity)).await.unwrap_or(Value::Null);
            if have.as_u64() < Some(6 * u64::from(RATE)) {
                return Err(format!("{have} samples"));
            }
            let recording = self.window.evaluate(take, json!(identity)).await.unwrap_or(Value::Null);
            match judge(clip, &from_page(&recording)) {
                Some(heard) if heard.stoi >= stoi && heard.level_db > -15.0 => Ok(heard),
                other => Err(format!("{other:?}")),
            }
        });
        Ok(heard.await)
    }
}

/// Payload bytes per second of the clip in Opus at 32 kbit/s, as sent in a room and received by another.
async fn opus_payload(sfu: &Sfu, clip: &Clip) -> anyhow::Result<f64> {
    let (speaker, _events) =
        Room::connect(&sfu.url, &sfu.join_token("speaker", "opus"), RoomOptions::default()).await?;
    let track = LocalTrack::opus();
    speaker.publish(&track, PublishOptions::default()).await?;
    let setting = Opus { bitrate_bps: 32_000, ptime_ms: 20, fec: true, red: 0, expected_loss: 0 };
    let mut encoder = opus::Encoder::new(setting)?;
    let mut up = aic_codec::resample::Up::default();
    let mut bytes = 0;
    let frames = clip.samples.as_chunks::<320>().0;
    for frame in frames {
        let packet = encoder.encode(&up.process(frame))?;
        bytes += packet.len();
        track.write(packet, Duration::from_millis(20)).await?;
    }
    speaker.leave().await;
    Ok(bytes as f64 / (frames.len() as f64 * 0.02))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_natives_and_a_page_hear_each_other_for_a_fifth_of_the_bytes() -> Outcome {
    let Some(clips) = speech(3)? else { return Ok(()) };
    let _turn = fixture::turn().await;
    let [ann_says, ben_says, page_says] = &clips[..] else { unreachable!("three were asked for") };
    let model = Model::bundled()?;
    let service = CodecService::start().await?;
    let sfu = sfu(Some(&service), Vec::new()).await?;
    let ann = AicPerson::join(&sfu, "call", "ann", ann_says, options(&model)).await?;
    let single = PersonOptions { mode: SignalMode::Single, ..options(&model) };
    let ben = AicPerson::join(&sfu, "call", "ben", ben_says, single).await?;
    let page = Page::join(&sfu, "call", page_says).await?;
    page.record("ann").await?;
    page.record("ben").await?;

    let (ben_hears_ann, ann_hears_ben, ann_hears_page, ben_hears_page) = tokio::join!(
        ben.hears("ann", ann_says, AIC_STOI, LIMIT),
        ann.hears("ben", ben_says, AIC_STOI, LIMIT),
        ann.hears("page", page_says, OPUS_STOI, LIMIT),
        ben.hears("page", page_says, OPUS_STOI, LIMIT),
    );
    let page_hears_ann = page.hears("ann", ann_says, TANDEM_STOI).await?;
    let page_hears_ben = page.hears("ben", ben_says, TANDEM_STOI).await?;
    for (who, heard) in [
        ("ben hears ann", ben_hears_ann),
        ("ann hears ben", ann_hears_ben),
        ("ann hears the page", ann_hears_page),
        ("ben hears the page", ben_hears_page),
        ("the page hears ann", page_hears_ann),
        ("the page hears ben", page_hears_ben),
    ] {
        eprintln!("{who}: {heard:?}");
    }

    // Untouched from publisher to subscriber, and nobody fell back.
    let (before, sent) = (ann.sent(), SystemClock.monotonic());
    ben.hears("ann", ann_says, AIC_STOI, LIMIT).await;
    let (after, seconds) = (ann.sent(), sent.elapsed().as_secs_f64());
    assert_eq!(after.opus_packets, before.opus_packets, "{after:?}");
    assert_eq!(ben.received("ann").opus_packets, after.opus_packets, "{:?}", ben.received("ann"));
    let aic = (after.payload_bytes() - before.payload_bytes()) as f64 / seconds;
    let opus = opus_payload(&sfu, ann_says).await?;
    eprintln!("payload: AIC {aic:.0} bytes/s, Opus {opus:.0} bytes/s, {:.1} %", 100.0 * aic / opus);
    assert!(aic <= 0.20 * opus, "{aic} of {opus} bytes/s");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenth_of_the_packets_lost_mutes_nobody() -> Outcome {
    let Some(clips) = speech(2)? else { return Ok(()) };
    let _turn = fixture::turn().await;
    let model = Model::bundled()?;
    let sfu = sfu(None, Vec::new()).await?;
    let lossy = PersonOptions { loss: 0.10, ..options(&model) };
    let ann = AicPerson::join(&sfu, "call", "ann", &clips[0], lossy).await?;
    let ben = AicPerson::join(&sfu, "call", "ben", &clips[1], options(&model)).await?;
    // Both directions of one bad link.
    let (up, down) = tokio::join!(
        ben.hears("ann", &clips[0], AIC_STOI - 0.05, LIMIT),
        ann.hears("ben", &clips[1], AIC_STOI - 0.05, LIMIT),
    );
    eprintln!("10 % loss: up {up:?}, down {down:?}; {:?}", ben.received("ann"));
    assert!(ben.received("ann").aic_packets > 0);
    wait::until("the loss is reported", LIMIT, || async {
        let sent = ann.sent();
        if sent.loss > 0.02 { Ok(()) } else { Err(format!("{sent:?}")) }
    })
    .await;
    // Ben loses nothing and repeats nothing: what fills Ann's gaps was put into his packets on the way.
    wait::until("the lossy listener gets copies", LIMIT, || async {
        let (received, sent) = (ann.received("ben"), ben.sent());
        if received.redundant > 10 && sent.loss < 0.02 {
            Ok(())
        } else {
            Err(format!("{received:?} {sent:?}"))
        }
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn opus_is_repeated_where_packets_are_lost() -> Outcome {
    let Some(clips) = speech(2)? else { return Ok(()) };
    let _turn = fixture::turn().await;
    let model = Model::bundled()?;
    let sfu = sfu(None, Vec::new()).await?;
    let lossy = PersonOptions { loss: 0.15, ..options(&model) };
    let ann = AicPerson::join(&sfu, "call", "ann", &clips[0], lossy).await?;
    ann.enable(false);
    let ben = AicPerson::join(&sfu, "call", "ben", &clips[1], options(&model)).await?;
    let page = Page::join(&sfu, "call", &clips[1]).await?;
    page.record("ann").await?;
    wait::until("lost packets come back", LIMIT, || async {
        let (received, sent) = (ben.received("ann"), ann.sent());
        match received.recovered > 10 && sent.copied_bytes > 0 {
            true => Ok(()),
            false => Err(format!("{received:?} {sent:?}")),
        }
    })
    .await;
    let native = ben.hears("ann", &clips[0], OPUS_STOI, LIMIT).await;
    // A browser takes the copies too, or is sent the rest without them.
    let browser = page.hears("ann", &clips[0], OPUS_STOI).await?;
    eprintln!("15 % lost, in Opus: {native:?}, in the browser {browser:?}; {:?}", ben.received("ann"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transcoders_death_costs_a_change_of_codec_and_its_return_brings_aic_back() -> Outcome {
    let Some(clips) = speech(3)? else { return Ok(()) };
    let _turn = fixture::turn().await;
    let model = Model::bundled()?;
    let mut service = CodecService::start().await?;
    let sfu = sfu(Some(&service), Vec::new()).await?;
    let ann = AicPerson::join(&sfu, "call", "ann", &clips[0], options(&model)).await?;
    let ben = AicPerson::join(&sfu, "call", "ben", &clips[1], options(&model)).await?;
    let page = Page::join(&sfu, "call", &clips[2]).await?;
    page.record("ann").await?;
    page.hears("ann", &clips[0], TANDEM_STOI).await?;
    ben.aic_comes("ann", LIMIT).await;

    ben.watch_for_opus("ann");
    let killed = SystemClock.monotonic();
    service.kill().await;
    let opus_at = ben.opus_came("ann", LIMIT).await;
    eprintln!("first Opus packet {:?} after the kill", opus_at.duration_since(killed));
    assert_eq!(ann.sent().fallbacks_for(Reason::Unavailable), 1, "{:?}", ann.sent());
    let heard = page.hears("ann", &clips[0], OPUS_STOI).await?;
    eprintln!("without the service the page hears {heard:?}");

    service.restart().await?;
    ben.aic_comes("ann", LIMIT).await;
    page.hears("ann", &clips[0], TANDEM_STOI).await?;
    assert_eq!(ann.sent().fallbacks_for(Reason::Unavailable), 1, "no flapping: {:?}", ann.sent());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_transcoder_a_page_is_served_opus_and_natives_alone_return_to_aic() -> Outcome {
    let Some(clips) = speech(3)? else { return Ok(()) };
    let _turn = fixture::turn().await;
    let model = Model::bundled()?;
    let sfu = sfu(None, Vec::new()).await?;
    let ann = AicPerson::join(&sfu, "call", "ann", &clips[0], options(&model)).await?;
    let ben = AicPerson::join(&sfu, "call", "ben", &clips[1], options(&model)).await?;
    ben.aic_comes("ann", LIMIT).await;
    let page = Page::join(&sfu, "call", &clips[2]).await?;
    page.record("ann").await?;
    page.hears("ann", &clips[0], OPUS_STOI).await?;
    assert_eq!(ann.sent().fallbacks_for(Reason::Unavailable), 1);
    page.window.client("leave", json!({})).await?;
    ben.aic_comes("ann", LIMIT).await;
    ben.hears("ann", &clips[0], AIC_STOI, LIMIT).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_talks_opus() -> Outcome {
    let Some(clips) = speech(2)? else { return Ok(()) };
    let _turn = fixture::turn().await;
    let model = Model::bundled()?;
    let sfu = sfu(None, vec![("AURA_SFU__AIC__MODEL", "another-1".to_owned())]).await?;
    let ann = AicPerson::join(&sfu, "call", "ann", &clips[0], options(&model)).await?;
    let single = PersonOptions { mode: SignalMode::Single, ..options(&model) };
    let ben = AicPerson::join(&sfu, "call", "ben", &clips[1], single).await?;
    tokio::join!(
        ben.hears("ann", &clips[0], OPUS_STOI, LIMIT),
        ann.hears("ben", &clips[1], OPUS_STOI, LIMIT),
    );
    for person in [&ann, &ben] {
        let sent = person.sent();
        assert_eq!((sent.aic_packets, sent.fallbacks_for(Reason::ModelMismatch)), (0, 1), "{sent:?}");
    }
    Ok(())
}

/// One speaker who falls back for a reason that is provoked, and returns when that is over: counted once, heard before
/// and after. Every reason has its own speaker, since one that falls back often returns ever later.
async fn detour(
    sfu: &Sfu,
    clips: &[Clip],
    reason: Reason,
    provoke: impl AsyncFn(&AicPerson),
    relent: impl AsyncFn(&AicPerson),
) -> Outcome {
    let (room, model) = (reason.as_str(), Model::bundled()?);
    let ann = AicPerson::join(sfu, room, "ann", &clips[0], options(&model)).await?;
    let ben = AicPerson::join(sfu, room, "ben", &clips[1], options(&model)).await?;
    ben.aic_comes("ann", LIMIT).await;
    ben.watch_for_opus("ann");
    provoke(&ann).await;
    ben.opus_came("ann", LIMIT).await;
    let sent = ann.sent();
    assert_eq!(sent.fallbacks_for(reason), 1, "{reason:?}: {sent:?}");
    relent(&ann).await;
    ben.aic_comes("ann", LIMIT).await;
    let heard = ben.hears("ann", &clips[0], AIC_STOI, LIMIT).await;
    eprintln!("back from {room}: {heard:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reason_to_fall_back_is_counted_and_recovered_from() -> Outcome {
    let Some(clips) = speech(2)? else { return Ok(()) };
    let _turn = fixture::turn().await;
    let sfu = sfu(None, Vec::new()).await?;
    let lenient = async |ann: &AicPerson| ann.set(tolerant());

    let music = chords(8);
    let sing = async |ann: &AicPerson| ann.say(&music);
    detour(&sfu, &clips, Reason::Content, sing, async |ann: &AicPerson| ann.say(&clips[0])).await?;
    let hasty = Settings { max_latency_ms: 0.0, ..tolerant() };
    detour(&sfu, &clips, Reason::Latency, async |ann: &AicPerson| ann.set(hasty), &lenient).await?;
    let off = async |ann: &AicPerson| ann.enable(false);
    detour(&sfu, &clips, Reason::Disabled, off, async |ann: &AicPerson| ann.enable(true)).await?;

    // Every thread that could encode is busy with something else for a while.
    let occupy = async |_: &AicPerson| {
        let handle = tokio::runtime::Handle::current();
        for _ in 0..600 {
            let handle = handle.clone();
            tokio::task::spawn_blocking(move || {
                handle.block_on(async { tokio::time::sleep(Duration::from_millis(500)).await });
            });
        }
    };
    detour(&sfu, &clips, Reason::Overload, occupy, async |_: &AicPerson| {}).await?;
    let fussy = Settings { min_quality: 1.0, ..tolerant() };
    detour(&sfu, &clips, Reason::Quality, async |ann: &AicPerson| ann.set(fussy), &lenient).await?;
    Ok(())
}
