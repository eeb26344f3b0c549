//! Clients nobody here wrote: LiveKit's Python client and its server SDK for Node.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bridge::Bridge;
use crate::browser::entries;
use crate::face::{Face, Somebody};
use crate::senses::{self, Sense};
use crate::sfu::Sfu;
use crate::{fixture, wait};

const LIMIT: Duration = Duration::from_secs(30);

/// A participant on LiveKit's Python client.
pub struct PythonParticipant {
    bridge: Bridge,
    face: Face,
    identity: String,
}

impl Somebody for PythonParticipant {
    fn face(&self) -> usize {
        self.face.number()
    }

    fn known_as(&self) -> String {
        self.identity.clone()
    }
}

impl PythonParticipant {
    /// Starts Python and joins; `single` uses one peer connection instead of two.
    pub async fn join(url: &str, token: &str, single: bool) -> anyhow::Result<Self> {
        let script = fixture::path("interop/python/participant.py");
        let bridge =
            Bridge::start("python", &fixture::python()?, &[&script], &[], fixture::log("python")).await?;
        let face = Face::take();
        let join = json!({ "url": url, "token": token, "single": single, "face": face.number() });
        let identity = bridge.call("join", join).await?;
        Ok(Self { bridge, face, identity: identity.as_str().unwrap_or_default().to_owned() })
    }

    /// Runs a method of participant.py.
    pub async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.bridge.call(method, params).await
    }

    /// Publishes its tone and its picture.
    pub async fn publish(&self) -> anyhow::Result<()> {
        self.call("publish", json!({})).await.map(drop)
    }

    /// Waits until it sees and hears every one of `others`, and goes on doing so.
    pub async fn sees_and_hears<const N: usize>(&self, others: [&dyn Somebody; N]) {
        self.gets(&others, &[Sense::Sight, Sense::Hearing], "camera").await;
    }

    /// Waits until it sees the screen that `other` shares, and goes on doing so.
    pub async fn sees_screen_of(&self, other: &dyn Somebody) {
        self.gets(&[other], &[Sense::Sight], "screen_share").await;
    }

    pub(crate) async fn gets(&self, others: &[&dyn Somebody], wanted: &[Sense], source: &str) {
        let presented = async || self.call("presented", json!({})).await;
        if let Err(state) = senses::gets(presented, others, wanted, source).await {
            panic!("{}: {state}", self.identity);
        }
    }

    /// Waits until it has noted an event that passes `test`.
    pub async fn event(&self, name: &str, test: impl Fn(&Value) -> bool) -> Value {
        wait::until(&format!("python: {name}"), LIMIT, || async {
            let seen = self.call("seen", json!({})).await.map_err(|error| format!("{error:#}"))?;
            let found = entries(&seen).find(|event| event["name"] == name && test(event)).cloned();
            found.ok_or_else(|| seen.to_string())
        })
        .await
    }
}

/// LiveKit's server SDK for Node, driving RoomService.
pub struct ServerSdk {
    bridge: Bridge,
}

impl ServerSdk {
    /// Starts Node with the SDK pointed at `sfu`.
    pub async fn start(sfu: &Sfu) -> anyhow::Result<Self> {
        let script = fixture::path("interop/node/server_api.mjs");
        let env = [
            ("LIVEKIT_URL", sfu.url.as_str()),
            ("LIVEKIT_API_KEY", sfu.key.as_str()),
            ("LIVEKIT_API_SECRET", sfu.secret.as_str()),
        ];
        let log = fixture::log("server-sdk");
        let bridge = Bridge::start("server-sdk", &fixture::node()?, &[&script], &env, log).await?;
        Ok(Self { bridge })
    }

    /// Calls a method of RoomServiceClient; fails with what the SDK throws.
    pub async fn rooms(&self, method: &str, args: Value) -> anyhow::Result<Value> {
        self.bridge.call("call", json!({ "method": method, "args": args })).await
    }

    /// Calls a method of RoomServiceClient that must be refused; answers `{status, code, message}`.
    pub async fn refused(&self, method: &str, args: Value) -> anyhow::Result<Value> {
        self.refused_with(json!({ "method": method, "args": args })).await
    }

    /// The same, signed with a secret the server does not know.
    pub async fn refused_forged(&self, method: &str, args: Value) -> anyhow::Result<Value> {
        let secret = "not-the-secret-not-the-secret-not-the";
        self.refused_with(json!({ "method": method, "args": args, "secret": secret })).await
    }

    /// Sends text from the server to a room.
    pub async fn send_data(&self, params: Value) -> anyhow::Result<()> {
        self.bridge.call("sendData", params).await.map(drop)
    }

    /// An access token as the SDK makes it.
    pub async fn token(&self, params: Value) -> anyhow::Result<String> {
        let token = self.bridge.call("token", params).await?;
        Ok(token.as_str().unwrap_or_default().to_owned())
    }

    async fn refused_with(&self, params: Value) -> anyhow::Result<Value> {
        match self.bridge.call("call", params).await {
            Ok(value) => anyhow::bail!("was not refused: {value}"),
            Err(error) => Ok(serde_json::from_str(&error.root_cause().to_string())?),
        }
    }
}
