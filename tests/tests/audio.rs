//! The pages about low-bandwidth audio in a browser: figures of a real codec service, settings that stay, and the
//! service gone and back.

use anyhow::Context;
use auralink_tests::rest::PASSWORD;
use auralink_tests::{Browser, Outcome, SfuOptions, Stack, WebApp, WindowOptions, fixture, id};
use reqwest::Method;
use serde_json::{Value, json};

struct Site {
    stack: Stack,
    app: WebApp,
    email: String,
    _browser: Browser,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let (stack, browser) =
            tokio::try_join!(Stack::start_with_codec(SfuOptions::default()), Browser::start())?;
        let app = WebApp::new(browser.window("Alice", WindowOptions::default()).await?, &stack.url);
        let email = app.sign_up("Alice").await?;
        Ok(Self { stack, app, email, _browser: browser })
    }

    /// Reports ten seconds of speech as a client of Alice's would.
    async fn report(&self, sequence: u32) -> anyhow::Result<()> {
        let api = self.stack.api();
        let login = json!({ "email": self.email, "password": PASSWORD });
        let (_, session) = api.send(Method::POST, "/auth/login", None, Some(&login)).await?;
        let token = session["access_token"].as_str().context("a login has a token")?;
        let report = json!({
            "session_id": "0198f000-0000-7000-8000-0000000000aa", "sequence": sequence, "mode": "adaptive",
            "model": "aic16m-1", "window_ms": 10_000, "frames": 500, "coded_bytes": 8_000, "native_bytes": 40_000,
            "quality_mean": 0.9, "quality_min": 0.87, "latency_mean_ms": 1.5, "latency_p95_ms": 2.5,
            "fallbacks": {"content": 1},
        });
        let (status, answer) = api.send(Method::POST, "/aic/metrics", Some(token), Some(&report)).await?;
        anyhow::ensure!(status == 204, "{status} {answer}");
        Ok(())
    }
}

#[tokio::test]
async fn figures_appear_while_the_page_is_open() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let window = &site.app.window;
    window.goto(&format!("{}/audio", site.stack.url)).await?;
    window.see(".measurements .empty").await?;
    site.report(0).await?;
    window.see(&id("totals")).await?;
    assert!(window.text(&id("totals")).await?.contains("6.4 instead of 32 kbit/s"));
    assert_eq!(window.count(&id("plot")).await?, 6);
    window.exists("[data-reason=\"content\"]").await?;
    // Read by keyboard.
    let read = "() => { const plot = document.querySelector('[role=slider]'); plot.focus();
        plot.dispatchEvent(new KeyboardEvent('keydown', { key: 'End', bubbles: true })); }";
    window.evaluate(read, Value::Null).await?;
    let value = "() => document.querySelector('[role=slider]').ariaValueText";
    window
        .until("the plot's value is read out", value, |text| {
            text.as_str().is_some_and(|text| text.contains("80 %"))
        })
        .await;
    window.reload().await?;
    window.see(&id("aic-session")).await?;
    Ok(())
}

#[tokio::test]
async fn settings_are_kept_and_wrong_ones_named() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let window = &site.app.window;
    window.goto(&format!("{}/audio", site.stack.url)).await?;
    window.see(&id("aic-save")).await?;
    window.fill(&id("aic-quality"), "1.5").await?;
    window.click(&id("aic-save")).await?;
    window.see(&format!("{}[aria-invalid=\"true\"]", id("aic-quality"))).await?;
    window.fill(&id("aic-quality"), "0.9").await?;
    window.click(&format!("{} input[value=\"aggressive\"]", id("aic-mode"))).await?;
    window.click(&id("aic-save")).await?;
    window.see(&format!("{}:disabled:not([aria-busy])", id("aic-save"))).await?;
    window.reload().await?;
    window.see(&format!("{} input[value=\"aggressive\"]:checked", id("aic-mode"))).await?;
    let typed = "() => document.querySelector('[data-testid=aic-quality]').value";
    assert_eq!(window.evaluate(typed, Value::Null).await?, "0.9");
    Ok(())
}

#[tokio::test]
async fn the_page_says_when_the_codec_service_is_away_and_recovers() -> Outcome {
    let _turn = fixture::turn().await;
    let mut site = Site::start().await?;
    site.stack.kill_codec().await;
    site.app.window.goto(&format!("{}/audio", site.stack.url)).await?;
    site.app.window.see("#audio-settings ~ .notice-warning").await?;
    site.stack.restart_codec().await?;
    site.app.window.see(&id("aic-save")).await?;
    Ok(())
}

#[tokio::test]
async fn every_recording_can_be_listened_to_and_changed_while_it_plays() -> Outcome {
    let _turn = fixture::turn().await;
    let (stack, browser) = tokio::try_join!(Stack::start(), Browser::start())?;
    let app = WebApp::new(browser.window("Alice", WindowOptions::default()).await?, &stack.url);
    app.sign_up("Alice").await?;
    let window = &app.window;
    window.goto(&format!("{}/audio/listen", stack.url)).await?;
    window.see(&id("listen-play")).await?;
    // What a browser decodes: sound, as long as it is said to be, and the same length in all versions.
    let decode = "async () => {
        const { clips } = await (await fetch('/samples/index.json')).json();
        const context = new OfflineAudioContext(1, 1, 16000);
        const heard = async ({ id, file }) => {
            const buffer = await context.decodeAudioData(await (await fetch('/samples/' + file)).arrayBuffer());
            const power = buffer.getChannelData(0).reduce((sum, x) => sum + x * x, 0) / buffer.length;
            return { id, seconds: buffer.duration, level_db: 10 * Math.log10(power + 1e-12) };
        };
        return Promise.all(clips.map(async (clip) => ({ ...clip, heard: await Promise.all(clip.variants.map(heard)) })));
    }";
    let clips = window.evaluate(decode, Value::Null).await?;
    let clips = clips.as_array().context("clips")?;
    assert!(clips.len() >= 3, "{clips:?}");
    for clip in clips {
        let heard = clip["heard"].as_array().context("versions")?;
        assert_eq!(heard.len(), 8, "the original, three rates of AIC, four of Opus: {clip}");
        for version in heard {
            assert_eq!(version["seconds"], clip["duration_s"], "{version}");
            assert!(version["level_db"].as_f64() > Some(-45.0), "{version}");
        }
    }
    let place = "() => document.querySelector('.transport input').valueAsNumber";
    window.click(&id("listen-play")).await?;
    for version in ["aic-6", "opus-12"] {
        let before = window.evaluate(place, Value::Null).await?.as_f64();
        window.click(&id(&format!("listen-{version}"))).await?;
        window.until(version, place, |now| now.as_f64() > before).await;
        window.plays().await;
        window.see(&format!("{}[data-playing=\"true\"]", id("listen-play"))).await?;
    }
    Ok(())
}
