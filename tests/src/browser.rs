//! Chromium windows, each a process of its own with a camera and a microphone of its own.
//!
//! What a person at one sees and hears is judged in senses.rs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::bridge::{Bridge, LIMIT};
use crate::face::{Face, Somebody};
use crate::{fixture, wait};

pub(crate) const MEDIA_LIMIT: Duration = Duration::from_secs(30);

/// Opens windows; they end with it.
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
    /// A WAV file that is spoken into the microphone, again and again, instead of the person's tone.
    pub microphone: Option<PathBuf>,
}

impl Browser {
    /// Starts what opens windows.
    pub async fn start() -> anyhow::Result<Self> {
        let driver = fixture::path("browser/driver.mjs");
        let log = fixture::log("browser");
        let bridge = Bridge::start("browser", &fixture::node()?, &[&driver], &[], log).await?;
        Ok(Self { bridge: Arc::new(bridge) })
    }

    /// Opens a window.
    pub async fn window(&self, name: &str, options: WindowOptions) -> anyhow::Result<Window> {
        let storage: serde_json::Map<String, Value> =
            options.storage.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let face = Face::take();
        let params = json!({
            "name": name, "face": face.number(), "microphone": options.microphone, "storage": storage,
            "phone": options.phone, "dark": options.dark, "blocked": options.blocked,
        });
        let id = self.bridge.call("open", params).await?;
        let look = match (options.phone, options.dark) {
            (true, _) => "phone",
            (false, true) => "dark",
            (false, false) => "light",
        };
        Ok(Window {
            bridge: Arc::clone(&self.bridge),
            id,
            name: name.to_owned(),
            known_as: Mutex::new(name.to_owned()),
            face,
            has_words: options.microphone.is_some(),
            look,
        })
    }

    /// Opens a window on the page that speaks LiveKit without the web app.
    pub async fn protocol_page(&self, name: &str) -> anyhow::Result<Window> {
        self.protocol_page_with(name, WindowOptions::default()).await
    }

    /// The same, set up otherwise.
    pub async fn protocol_page_with(&self, name: &str, options: WindowOptions) -> anyhow::Result<Window> {
        let window = self.window(name, options).await?;
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
    known_as: Mutex<String>,
    face: Face,
    has_words: bool,
    look: &'static str,
}

impl Somebody for Window {
    fn face(&self) -> usize {
        self.face.number()
    }

    fn known_as(&self) -> String {
        self.known_as.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_words(&self) -> bool {
        self.has_words
    }

    fn page(&self) -> Option<&Window> {
        Some(self)
    }
}

impl Window {
    /// Its name in failures.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says what others call the person at it; its name until then.
    pub fn is_known_as(&self, name: &str) {
        name.clone_into(&mut self.known_as.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends its Chromium.
    pub async fn close(self) -> anyhow::Result<()> {
        self.call("close", json!({})).await.map(drop)
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

    /// What its peer connections are, receive, capture and send: for facts of the transport. Whether media arrive,
    /// `sees_and_hears` says.
    pub async fn media(&self) -> anyhow::Result<Value> {
        self.evaluate("() => aura.media()", Value::Null).await
    }

    /// Joins with the protocol page: `argument` is that of `client.join`.
    pub async fn join(&self, argument: Value) -> anyhow::Result<()> {
        let identity = self.client("join", argument).await?;
        self.is_known_as(identity.as_str().unwrap_or_default());
        Ok(())
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
