//! The web app as a person uses it: fields, buttons, links.
//!
//! Elements are found by `data-testid` (crates/dashboard/web/README.md lists them), so that wording can change.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use serde_json::Value;

use crate::browser::Window;
use crate::face::Somebody;
use crate::rest::PASSWORD;

/// One connection or two, chosen in the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One peer connection for both directions.
    Single,
    /// One each way.
    Dual,
}

impl Mode {
    fn query(self) -> &'static str {
        match self {
            Self::Single => "pc=single",
            Self::Dual => "pc=dual",
        }
    }
}

/// The selector of a test id.
pub fn id(test_id: &str) -> String {
    format!("[data-testid=\"{test_id}\"]")
}

/// A window in the web app.
pub struct WebApp {
    /// The window.
    pub window: Window,
    url: String,
}

impl Somebody for WebApp {
    fn face(&self) -> usize {
        self.window.face()
    }

    fn known_as(&self) -> String {
        self.window.known_as()
    }

    fn has_words(&self) -> bool {
        self.window.has_words()
    }

    fn page(&self) -> Option<&Window> {
        Some(&self.window)
    }
}

impl WebApp {
    /// The web app at the dashboard's address.
    pub fn new(window: Window, url: &str) -> Self {
        Self { window, url: url.to_owned() }
    }

    /// Signs up; the home page is shown. Answers the e-mail address.
    pub async fn sign_up(&self, name: &str) -> anyhow::Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let email =
            format!("{}.web{}@example.com", name.to_lowercase(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.window.goto(&format!("{}/register", self.url)).await?;
        self.window.fill(&id("display-name"), name).await?;
        self.window.fill(&id("email"), &email).await?;
        self.window.fill(&id("password"), PASSWORD).await?;
        self.window.click(&id("submit")).await?;
        self.window.see(&id("account")).await?;
        self.window.is_known_as(name);
        Ok(email)
    }

    /// Creates a room on the home page and answers its id.
    pub async fn create_room(&self, name: &str) -> anyhow::Result<String> {
        self.window.goto(&self.url).await?;
        self.window.fill(&id("room-name"), name).await?;
        self.window.click(&id("create-room")).await?;
        let row = format!("{}:has-text(\"{name}\")", id("room-row"));
        self.window.see(&row).await?;
        let source = "(name) => [...document.querySelectorAll('[data-room-id]')]
            .find((row) => row.textContent.includes(name)).dataset.roomId";
        let room = self.window.evaluate(source, Value::from(name)).await?;
        Ok(room.as_str().context("a room row carries its id")?.to_owned())
    }

    /// The invitation link of a room on the home page.
    pub async fn invite_link(&self, room: &str) -> anyhow::Result<String> {
        let row = format!("[data-room-id=\"{room}\"]");
        self.window.click(&format!("{row} {}", id("room-invite"))).await?;
        self.window.see(&id("invite-link")).await?;
        let field = Value::from(id("invite-link"));
        let link =
            self.window.evaluate("(selector) => document.querySelector(selector).value", field).await?;
        Ok(link.as_str().context("the field holds the link")?.to_owned())
    }

    /// Opens a room's or an invitation's page and joins; the meeting is shown.
    pub async fn join(&self, address: &str, mode: Mode) -> anyhow::Result<()> {
        let address =
            if address.starts_with('/') { format!("{}{address}", self.url) } else { address.to_owned() };
        self.window.goto(&format!("{address}?{}", mode.query())).await?;
        self.window.click(&id("join")).await?;
        self.window.see(&id("leave")).await
    }

    /// Opens the panel if it is not open, and sends a chat message.
    pub async fn chat(&self, text: &str) -> anyhow::Result<()> {
        self.open_chat().await?;
        self.window.fill(&id("chat-input"), text).await?;
        self.window.press(&id("chat-input"), "Enter").await
    }

    /// Opens the panel if it is not open, and waits for a message.
    pub async fn reads(&self, text: &str) -> anyhow::Result<()> {
        self.open_chat().await?;
        self.window.see(&format!("{}:has-text(\"{text}\")", id("chat-message"))).await
    }

    async fn open_chat(&self) -> anyhow::Result<()> {
        if self.window.count(&id("chat-input")).await? == 0 {
            self.window.click(&id("chat-toggle")).await?;
            self.window.see(&id("chat-input")).await?;
        }
        Ok(())
    }
}
