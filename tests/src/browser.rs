//! Chromium windows with fake devices, and what flows through them.
//!
//! A window is a profile of its own. Media are judged by `getStats` (tests/browser/probe.js), never by pixels.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::bridge::{Bridge, LIMIT};
use crate::{fixture, wait};

const MEDIA_LIMIT: Duration = Duration::from_secs(30);

/// One Chromium.
pub struct Browser {
    bridge: Arc<Bridge>,
}

/// How a window is set up.
#[derive(Debug, Clone, Default)]
pub struct WindowOptions {
    /// Entries of localStorage, in every origin.
    pub storage: Vec<(&'static str, &'static str)>,
    /// Phone-sized.
    pub phone: bool,
    /// Prefers a dark page.
    pub dark: bool,
    /// Patterns of addresses that cannot be fetched.
    pub blocked: Vec<&'static str>,
}

impl Browser {
    /// Starts Chromium; ends with the value.
    pub async fn start() -> anyhow::Result<Self> {
        Self::launch(&[]).await
    }

    /// Starts a Chromium in whose microphones a WAV file is spoken, again and again.
    pub async fn speaking(wav: &std::path::Path) -> anyhow::Result<Self> {
        Self::launch(&[("MICROPHONE", &wav.display().to_string())]).await
    }

    async fn launch(env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let driver = fixture::path("browser/driver.mjs");
        let log = fixture::log("browser");
        let bridge = Bridge::start("browser", &fixture::node()?, &[&driver], env, log).await?;
        Ok(Self { bridge: Arc::new(bridge) })
    }

    /// Opens a window.
    pub async fn window(&self, name: &str, options: WindowOptions) -> anyhow::Result<Window> {
        let storage: serde_json::Map<String, Value> =
            options.storage.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let params = json!({
            "name": name, "storage": storage, "phone": options.phone, "dark": options.dark, "blocked": options.blocked,
        });
        let id = self.bridge.call("open", params).await?;
        let look = match (options.phone, options.dark) {
            (true, _) => "phone",
            (false, true) => "dark",
            (false, false) => "light",
        };
        Ok(Window { bridge: Arc::clone(&self.bridge), id, name: name.to_owned(), look })
    }

    /// Opens a window on the page that speaks LiveKit without the web app.
    pub async fn protocol_page(&self, name: &str) -> anyhow::Result<Window> {
        let window = self.window(name, WindowOptions::default()).await?;
        let url = self.bridge.call("protocolPage", json!({})).await?;
        window.goto(url.as_str().unwrap_or_default()).await?;
        Ok(window)
    }
}

/// One window with one page.
pub struct Window {
    bridge: Arc<Bridge>,
    id: Value,
    name: String,
    look: &'static str,
}

impl Window {
    /// Its name in failures.
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.call_within(LIMIT, method, params).await
    }

    async fn call_within(&self, limit: Duration, method: &str, mut params: Value) -> anyhow::Result<Value> {
        params["window"] = self.id.clone();
        self.bridge
            .call_within(limit, method, params)
            .await
            .with_context(|| format!("in the window of {}", self.name))
    }

    /// Loads a page.
    pub async fn goto(&self, url: &str) -> anyhow::Result<()> {
        self.call("goto", json!({ "url": url })).await.map(drop)
    }

    /// Loads the page again.
    pub async fn reload(&self) -> anyhow::Result<()> {
        self.call("reload", json!({})).await.map(drop)
    }

    /// The page's address.
    pub async fn url(&self) -> anyhow::Result<String> {
        Ok(self.call("url", json!({})).await?.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks what `selector` finds, once it can be clicked.
    pub async fn click(&self, selector: &str) -> anyhow::Result<()> {
        self.call("click", json!({ "selector": selector })).await.map(drop)
    }

    /// Types into a field.
    pub async fn fill(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        self.call("fill", json!({ "selector": selector, "text": text })).await.map(drop)
    }

    /// Presses a key in what `selector` finds.
    pub async fn press(&self, selector: &str, key: &str) -> anyhow::Result<()> {
        self.call("press", json!({ "selector": selector, "key": key })).await.map(drop)
    }

    /// Presses a key wherever the focus is.
    pub async fn key(&self, key: &str) -> anyhow::Result<()> {
        self.call("press", json!({ "key": key })).await.map(drop)
    }

    /// Types wherever the focus is.
    pub async fn type_text(&self, text: &str) -> anyhow::Result<()> {
        self.call("type", json!({ "text": text })).await.map(drop)
    }

    /// Chooses a file in a file field.
    pub async fn upload(&self, selector: &str, path: &std::path::Path) -> anyhow::Result<()> {
        self.call("upload", json!({ "selector": selector, "path": path })).await.map(drop)
    }

    /// Waits until `selector` is visible.
    pub async fn see(&self, selector: &str) -> anyhow::Result<()> {
        self.call("see", json!({ "selector": selector })).await.map(drop)
    }

    /// Waits until `selector` is in the page, visible or not.
    pub async fn exists(&self, selector: &str) -> anyhow::Result<()> {
        self.call("see", json!({ "selector": selector, "state": "attached" })).await.map(drop)
    }

    /// Waits until `selector` is hidden or gone.
    pub async fn see_gone(&self, selector: &str) -> anyhow::Result<()> {
        self.call("see", json!({ "selector": selector, "state": "hidden" })).await.map(drop)
    }

    /// How many elements `selector` finds now.
    pub async fn count(&self, selector: &str) -> anyhow::Result<u64> {
        Ok(self.call("count", json!({ "selector": selector })).await?.as_u64().unwrap_or(0))
    }

    /// The visible text of what `selector` finds.
    pub async fn text(&self, selector: &str) -> anyhow::Result<String> {
        let text = self.call("text", json!({ "selector": selector })).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Every address the page asked for.
    pub async fn requests(&self) -> anyhow::Result<Vec<String>> {
        Ok(serde_json::from_value(self.call("requests", json!({})).await?)?)
    }

    /// Calls a function of the page: `source` is its expression.
    pub async fn evaluate(&self, source: &str, argument: Value) -> anyhow::Result<Value> {
        self.call("evaluate", json!({ "source": source, "argument": argument })).await
    }

    /// Polls a function of the page until its answer passes `test`; panics with the last answer otherwise.
    pub async fn until(&self, what: &str, source: &str, test: impl Fn(&Value) -> bool) -> Value {
        let what = format!("{} ({})", what, self.name);
        wait::until(&what, MEDIA_LIMIT, || async {
            match self.evaluate(source, Value::Null).await {
                Ok(value) if test(&value) => Ok(value),
                Ok(value) => Err(value.to_string()),
                Err(error) => Err(format!("{error:#}")),
            }
        })
        .await
    }

    /// Waits for running transitions, keeps a picture among the test's logs, then has axe judge the page; panics with
    /// what it finds.
    pub async fn is_accessible(&self, screen: &str) {
        let still = "() => document.getAnimations().filter((a) => a.playState === 'running' && \
                     Number.isFinite(a.effect?.getComputedTiming().endTime)).length";
        self.until("nothing moves", still, |moving| *moving == 0).await;
        let picture = fixture::log(&format!("{screen}-{}", self.look)).with_extension("png");
        self.screenshot(&picture).await.expect("a picture is taken");
        let found = self.call("audit", json!({})).await.expect("axe runs");
        let faults: Vec<&str> = entries(&found).filter_map(Value::as_str).collect();
        assert!(faults.is_empty(), "{screen} ({}):\n{}", self.name, faults.join("\n"));
    }

    /// Whether the page is wider than its window.
    pub async fn scrolls_sideways(&self) -> anyhow::Result<bool> {
        let source = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth";
        Ok(self.evaluate(source, Value::Null).await? == json!(true))
    }

    /// A picture of the page, as PNG.
    async fn screenshot(&self, path: &std::path::Path) -> anyhow::Result<()> {
        self.call("screenshot", json!({ "path": path })).await.map(drop)
    }

    /// What its peer connections receive and send now.
    pub async fn media(&self) -> anyhow::Result<Value> {
        self.evaluate("() => aura.media()", Value::Null).await
    }

    /// Waits until at least `others` pictures decode and as many voices have energy, both still growing.
    pub async fn sees_and_hears(&self, others: usize) -> Value {
        let before = self.media().await.unwrap_or_default();
        let grown = |now: &Value, kind: &str, field: &str, by: f64| {
            entries(&now[kind])
                .filter(|entry| {
                    let start = entries(&before[kind])
                        .find(|old| old["ssrc"] == entry["ssrc"] && old["track"] == entry["track"])
                        .map_or(0.0, |old| number(old, field));
                    number(entry, field) >= start + by
                })
                .count()
        };
        self.until("sees and hears the others", "() => aura.media()", |now| {
            grown(now, "video", "frames", 15.0) >= others && grown(now, "audio", "energy", 1e-6) >= others
        })
        .await
    }

    /// Waits until `others` voices have energy.
    pub async fn hears(&self, others: usize) -> Value {
        self.until("hears the others", "() => aura.media()", |now| {
            entries(&now["audio"]).filter(|entry| number(entry, "energy") > 1e-6).count() >= others
        })
        .await
    }

    /// Starts to measure the longest time without new media.
    pub async fn watch_gaps(&self) -> anyhow::Result<()> {
        self.evaluate("() => aura.watch()", Value::Null).await.map(drop)
    }

    /// The longest time without new audio and without new pictures since `watch_gaps`.
    pub async fn gaps(&self) -> anyhow::Result<(Duration, Duration)> {
        let gap = self.evaluate("() => aura.gap()", Value::Null).await?;
        let milliseconds = |kind: &str| Duration::from_millis(number(&gap, kind) as u64);
        Ok((milliseconds("audio"), milliseconds("video")))
    }

    /// Calls `client.method(argument)` of the protocol page.
    pub async fn client(&self, method: &str, argument: Value) -> anyhow::Result<Value> {
        self.evaluate(&format!("(argument) => client.{method}(argument)"), argument).await
    }

    /// Waits until the protocol page has noted an event that passes `test`.
    pub async fn event(&self, name: &str, test: impl Fn(&Value) -> bool) -> Value {
        let found = self
            .until(name, "() => client.events", |events| {
                entries(events).any(|event| event["name"] == name && test(event))
            })
            .await;
        entries(&found).find(|event| event["name"] == name && test(event)).cloned().unwrap_or_default()
    }
}

/// The elements of a JSON list.
pub fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// A number in a JSON object; zero when absent.
pub fn number(object: &Value, field: &str) -> f64 {
    object[field].as_f64().unwrap_or(0.0)
}
