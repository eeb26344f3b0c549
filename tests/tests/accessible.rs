//! Every screen of the web app judged by axe: light, dark, and as wide as a phone; and the way in by keyboard alone.

use anyhow::Context;
use auralink_tests::rest::PASSWORD;
use auralink_tests::{Browser, Mode, Outcome, SfuOptions, Stack, WebApp, WindowOptions, fixture, id};
use reqwest::Method;
use serde_json::{Value, json};

struct Site {
    stack: Stack,
    browser: Browser,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let (stack, browser) =
            tokio::try_join!(Stack::start_with_codec(SfuOptions::default()), Browser::start())?;
        Ok(Self { stack, browser })
    }

    async fn window(&self, name: &str, options: WindowOptions) -> anyhow::Result<WebApp> {
        Ok(WebApp::new(self.browser.window(name, options).await?, &self.stack.url))
    }
}

/// Some minutes of coded speech, as a client of this person's would report them, and a warning about them.
async fn report_audio(site: &Site, email: &str) -> anyhow::Result<()> {
    let api = site.stack.api();
    let login = json!({ "email": email, "password": PASSWORD });
    let (_, session) = api.send(Method::POST, "/auth/login", None, Some(&login)).await?;
    let report = json!({
        "session_id": "0198f000-0000-7000-8000-0000000000aa", "sequence": 0, "mode": "adaptive",
        "model": "aic16m-1", "window_ms": 60_000, "frames": 3000, "coded_bytes": 48_000, "native_bytes": 240_000,
        "quality_mean": 0.9, "quality_min": 0.84, "latency_mean_ms": 1.5, "latency_p95_ms": 2.5,
        "fallback_frames": 150, "fallbacks": {"content": 2, "latency": 1},
    });
    let token = session["access_token"].as_str();
    let (status, answer) = api.send(Method::POST, "/aic/metrics", token, Some(&report)).await?;
    anyhow::ensure!(status == 204, "{status} {answer}");
    // A rule must be broken for ten minutes before it warns.
    let user = session["user"]["id"].as_str().context("a login names its user")?;
    let warning = format!(
        "insert into aic.aic_alerts (user_id, id, rule, instance, value, threshold, started_at, fired_at, seen_at)
         values ('{user}', gen_random_uuid(), 'fallback_rate', 'x', 0.12, 0.05, now(), now(), now())"
    );
    site.stack.sql(&warning).await.map(drop)
}

/// Visits every screen and has it judged.
async fn every_screen(options: WindowOptions) -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let phone = options.phone;
    let app = site.window("Alice", options).await?;
    let window = &app.window;
    let judged = async |screen: &str| {
        window.is_accessible(screen).await;
        let sideways = window.scrolls_sideways().await.expect("the page answers");
        assert!(!(phone && sideways), "{screen} is wider than a phone");
    };

    for page in ["login", "register"] {
        window.goto(&format!("{}/{page}", site.stack.url)).await?;
        window.see(&id("submit")).await?;
        judged(page).await;
    }
    let email = app.sign_up("Alice").await?;
    judged("home, empty").await;
    let room = app.create_room("Stand-up").await?;
    judged("home").await;
    let link = app.invite_link(&room).await?;
    judged("invitation").await;

    window.goto(&format!("{}/audio", site.stack.url)).await?;
    window.see(&id("aic-save")).await?;
    window.see(".measurements .empty").await?;
    judged("low-bandwidth audio, empty").await;
    report_audio(&site, &email).await?;
    window.reload().await?;
    for part in ["plot", "reasons", "aic-session", "aic-save", "aic-alert"] {
        window.see(&id(part)).await?;
    }
    window.click(&format!("{} summary", id("models"))).await?;
    window.see(&id("model-hour")).await?;
    window.click(".figures summary").await?;
    judged("low-bandwidth audio").await;
    window.click(&id("listen-link")).await?;
    window.see(&id("listen-play")).await?;
    judged("listening").await;

    window.goto(&format!("{}/room/{room}", site.stack.url)).await?;
    window.see(&id("join")).await?;
    judged("before the meeting").await;
    app.join(&format!("/room/{room}"), Mode::Single).await?;
    let guest = site.window("Grace", WindowOptions::default()).await?;
    guest.window.goto(&link).await?;
    guest.window.fill(&id("display-name"), "Grace").await?;
    guest.window.is_known_as("Grace");
    guest.window.click(&id("join")).await?;
    window.sees_and_hears([&guest]).await;
    judged("meeting").await;
    app.chat("hello").await?;
    app.reads("hello").await?;
    judged("chat").await;
    if phone {
        // A panel covers the screen there, and the other panels' buttons are in the menu.
        window.click("aside header button").await?;
        window.click(&id("more")).await?;
        window.see("[role=menuitem]").await?;
        judged("menu").await;
    } else {
        for (toggle, panel) in [("participants-toggle", "participants"), ("files-toggle", "file-input")] {
            window.click(&id(toggle)).await?;
            window.exists(&id(panel)).await?;
            judged(panel).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_screen_in_the_light() -> Outcome {
    every_screen(WindowOptions::default()).await
}

#[tokio::test]
async fn every_screen_in_the_dark() -> Outcome {
    every_screen(WindowOptions { dark: true, ..WindowOptions::default() }).await
}

#[tokio::test]
async fn every_screen_on_a_phone() -> Outcome {
    every_screen(WindowOptions { phone: true, ..WindowOptions::default() }).await
}

/// Presses Tab until the focus is on what `selector` finds.
async fn tab_to(app: &WebApp, selector: &str) -> anyhow::Result<()> {
    let focused = format!("() => document.activeElement?.matches('{selector}') ?? false");
    for _ in 0..60 {
        if app.window.evaluate(&focused, Value::Null).await? == true {
            return Ok(());
        }
        app.window.key("Tab").await?;
    }
    anyhow::bail!("Tab does not reach {selector}")
}

#[tokio::test]
async fn from_sign_up_to_leaving_by_keyboard_alone() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let app = site.window("Keys", WindowOptions::default()).await?;
    app.window.goto(&format!("{}/register", site.stack.url)).await?;
    app.window.see(&id("submit")).await?;
    for (field, text) in [("display-name", "Keys"), ("email", "keys@example.com"), ("password", PASSWORD)] {
        tab_to(&app, &id(field)).await?;
        app.window.type_text(text).await?;
    }
    app.window.key("Enter").await?;
    app.window.see(&id("account")).await?;

    tab_to(&app, &id("room-name")).await?;
    app.window.type_text("By keyboard").await?;
    app.window.key("Enter").await?;
    app.window.see(&id("room-row")).await?;
    tab_to(&app, &id("room-open")).await?;
    app.window.key("Enter").await?;
    app.window.see(&id("join")).await?;
    tab_to(&app, &id("join")).await?;
    app.window.key("Enter").await?;
    app.window.see(&id("leave")).await?;

    tab_to(&app, &id("mic")).await?;
    app.window.key("Enter").await?;
    app.window.see(&format!("{}[data-on=\"false\"]", id("mic"))).await?;
    tab_to(&app, &id("leave")).await?;
    app.window.key("Enter").await?;
    app.window.see_gone(&id("leave")).await?;
    Ok(())
}
