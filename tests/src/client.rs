//! Every kind of client behind one face: what a person does with it, and what that person then sees and hears.

use serde_json::{Value, json};

use crate::bridge::LIMIT;
use crate::browser::Window;
use crate::face::Somebody;
use crate::interop::PythonParticipant;
use crate::senses::Sense;
use crate::web_app::{WebApp, id};
use crate::{senses, wait};

/// What somebody sits at.
pub enum Client {
    /// Chromium with LiveKit's own client and no app.
    Page(Window),
    /// Chromium with the web app, in a meeting or a call; `aura.debug` is on.
    App(WebApp),
    /// LiveKit's Python client.
    Python(Box<PythonParticipant>),
}

impl Somebody for Client {
    fn face(&self) -> usize {
        self.somebody().face()
    }

    fn known_as(&self) -> String {
        self.somebody().known_as()
    }

    fn page(&self) -> Option<&Window> {
        self.somebody().page()
    }
}

impl Client {
    fn somebody(&self) -> &dyn Somebody {
        match self {
            Self::Page(window) => window,
            Self::App(app) => app,
            Self::Python(python) => python.as_ref(),
        }
    }

    /// The window of a page.
    ///
    /// # Panics
    /// Where there is none.
    pub fn window(&self) -> &Window {
        self.page().expect("a client with a window")
    }

    /// Waits until it sees and hears every one of `others`, and goes on doing so.
    pub async fn sees_and_hears(&self, others: &[&dyn Somebody]) {
        match self {
            Self::Python(python) => python.gets(others, &[Sense::Sight, Sense::Hearing], "camera").await,
            _ => self.window().gets(others, &[Sense::Sight, Sense::Hearing], "camera").await,
        }
    }

    /// Waits until it sees the screen that `other` shares, and goes on doing so.
    pub async fn sees_screen_of(&self, other: &Self) {
        match self {
            Self::Python(python) => python.sees_screen_of(other).await,
            _ => self.window().sees_screen_of(other).await,
        }
    }

    /// Waits until nothing is new any more of what `other` sends from camera or microphone, or from a screen.
    pub async fn lacks(&self, other: &Self, source: &str) {
        senses::ends(async || self.presented().await, other, source).await;
    }

    /// Waits until the picture of `other` is gone.
    pub async fn loses_picture_of(&self, other: &Self) {
        senses::loses_picture(async || self.presented().await, other).await;
    }

    /// What is presented now: see `aura.presented` in tests/browser/probe.js.
    async fn presented(&self) -> anyhow::Result<Value> {
        match self {
            Self::Python(python) => python.call("presented", json!({})).await,
            _ => self.window().presented().await,
        }
    }

    /// The LiveKit `Room` behind the page.
    fn room(&self) -> &'static str {
        if matches!(self, Self::App(_)) { "__aura.room" } else { "room" }
    }

    /// What the server calls it.
    pub async fn identity(&self) -> anyhow::Result<String> {
        let Self::App(app) = self else { return Ok(self.known_as()) };
        let identity =
            app.window.evaluate("() => __aura.room.localParticipant.identity", Value::Null).await?;
        Ok(identity.as_str().unwrap_or_default().to_owned())
    }

    /// Leaves as a person does, and is gone.
    pub async fn leaves(self) -> anyhow::Result<()> {
        match self {
            Self::Page(window) => {
                window.client("leave", Value::Null).await?;
                window.close().await
            }
            Self::App(app) => {
                app.window.click(&id("leave")).await?;
                app.window.see_gone(&id("leave")).await?;
                app.window.close().await
            }
            Self::Python(python) => python.call("leave", json!({})).await.map(drop),
        }
    }

    /// Stops camera and microphone; unpublishes them where the client can.
    pub async fn stop(&self) -> anyhow::Result<()> {
        for source in ["camera", "microphone"] {
            match self {
                Self::Page(window) => drop(window.client("unpublish", json!(source)).await?),
                Self::Python(python) => drop(python.call("unpublish", json!({ "source": source })).await?),
                Self::App(app) => switch(app, source, false).await?,
            }
        }
        Ok(())
    }

    /// Starts both again.
    pub async fn start(&self) -> anyhow::Result<()> {
        match self {
            Self::Page(window) => {
                window.client("camera", json!(true)).await?;
                window.client("microphone", json!(true)).await.map(drop)
            }
            Self::Python(python) => python.publish().await,
            Self::App(app) => {
                switch(app, "camera", true).await?;
                switch(app, "microphone", true).await
            }
        }
    }

    /// Starts or ends sharing a screen.
    pub async fn share(&self, on: bool) -> anyhow::Result<()> {
        match self {
            Self::Page(window) => window.client("share", json!(on)).await.map(drop),
            Self::App(app) => app.window.click(&id("share")).await,
            Self::Python(python) => {
                let method = if on { "publish_video" } else { "unpublish" };
                python.call(method, json!({ "source": "screen_share" })).await.map(drop)
            }
        }
    }

    /// Changes several subscriptions to cameras in one turn.
    pub async fn subscribe(&self, changes: &[(&Self, bool)]) -> anyhow::Result<()> {
        let changes: Vec<Value> = changes
            .iter()
            .map(|(from, on)| json!({ "from": from.known_as(), "source": "camera", "on": on }))
            .collect();
        match self {
            Self::Python(python) => python.call("subscribe", json!({ "changes": changes })).await.map(drop),
            _ => self.window().client("subscribe", json!(changes)).await.map(drop),
        }
    }

    /// A connection from nothing, by the client's own fault injection; back when this returns.
    pub async fn reconnects(&self) -> anyhow::Result<()> {
        if let Self::Python(python) = self {
            python.call("reconnect", json!({})).await?;
            python.event("reconnected", |_| true).await;
            return Ok(());
        }
        let source = format!(
            "async () => {{
              const back = new Promise((done) => {0}.once('reconnected', done));
              await {0}.simulateScenario('full-reconnect');
              await back;
            }}",
            self.room()
        );
        self.window().evaluate(&source, Value::Null).await.map(drop)
    }

    /// Waits until it knows whether it may publish.
    pub async fn learns_it_may_publish(&self, expected: bool) {
        if let Self::Python(python) = self {
            wait::until("python learns whether it may publish", LIMIT, || async {
                match python.call("may_publish", json!({})).await {
                    Ok(answer) if answer == expected => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
            return;
        }
        let source = format!("() => {}.localParticipant.permissions.canPublish", self.room());
        self.window().until("learns whether it may publish", &source, |may| *may == expected).await;
    }
}

/// Presses the button for camera or microphone unless it stands there already.
async fn switch(app: &WebApp, source: &str, on: bool) -> anyhow::Result<()> {
    let button = id(if source == "camera" { "cam" } else { "mic" });
    let stands = format!("{button}[data-on=\"{on}\"]");
    if app.window.count(&stands).await? == 0 {
        app.window.click(&button).await?;
    }
    app.window.see(&stands).await
}
