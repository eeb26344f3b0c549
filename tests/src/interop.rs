//! Clients nobody here wrote: LiveKit's Python client and its server SDK for Node.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bridge::Bridge;
use crate::browser::{entries, number};
use crate::sfu::Sfu;
use crate::{fixture, wait};

const LIMIT: Duration = Duration::from_secs(30);

/// A participant on LiveKit's Python client.
pub struct PythonParticipant {
    bridge: Bridge,
}

impl PythonParticipant {
    /// Starts Python and joins; `single` uses one peer connection instead of two.
    pub async fn join(url: &str, token: &str, single: bool) -> anyhow::Result<Self> {
        let script = fixture::path("interop/python/participant.py");
        let bridge =
            Bridge::start("python", &fixture::python()?, &[&script], &[], fixture::log("python")).await?;
        bridge.call("join", json!({ "url": url, "token": token, "single": single })).await?;
        Ok(Self { bridge })
    }

    /// Runs a method of participant.py.
    pub async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.bridge.call(method, params).await
    }

    /// Publishes a tone and a moving picture.
    pub async fn publish(&self) -> anyhow::Result<()> {
        self.call("publish", json!({})).await.map(drop)
    }

    /// Waits until pictures and sound of `identity` arrive, the sound with energy.
    pub async fn sees_and_hears(&self, identity: &str) -> Value {
        let what = format!("python sees and hears {identity}");
        wait::until(&what, LIMIT, || async {
            let media = self.call("media", json!({})).await.map_err(|error| format!("{error:#}"))?;
            let audio = &media[format!("{identity}/audio")];
            let video = &media[format!("{identity}/video")];
            let flows = number(audio, "frames") > 50.0
                && number(audio, "energy") > 0.01
                && number(video, "frames") > 15.0;
            if flows { Ok(media) } else { Err(media.to_string()) }
        })
        .await
    }

    /// Waits until more of both arrives than has so far.
    pub async fn sees_and_hears_more(&self, identity: &str) {
        let what = format!("python goes on seeing and hearing {identity}");
        let counts = async || {
            let media = self.call("media", json!({})).await.map_err(|error| format!("{error:#}"))?;
            let frames = |kind: &str| number(&media[format!("{identity}/{kind}")], "frames");
            Ok::<_, String>((frames("audio"), frames("video")))
        };
        let before = counts().await.unwrap_or_default();
        wait::until(&what, LIMIT, || async {
            let now = counts().await?;
            let grew = now.0 > before.0 + 50.0 && now.1 > before.1 + 10.0;
            if grew { Ok(()) } else { Err(format!("{before:?}, then {now:?}")) }
        })
        .await;
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
