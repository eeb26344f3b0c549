//! The dashboard's REST API as a stranger's program uses it: URLs and JSON, no type of ours.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);
/// The password of every account the tests make.
pub const PASSWORD: &str = "correct horse battery";

/// A status and the JSON that came with it (null when there was none).
pub type Answer = (StatusCode, Value);

/// The API, as nobody in particular.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    client: Client,
}

impl Api {
    /// The API at the dashboard's address.
    pub fn new(url: &str) -> Self {
        Self { base: format!("{url}/api/v1"), client: Client::new() }
    }

    /// One request; an error means no answer came at all.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base)).timeout(LIMIT);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = request.send().await.with_context(|| format!("{method} {path}"))?;
        let status = reply.status();
        let text = reply.text().await.with_context(|| format!("{method} {path}"))?;
        let value = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok((status, value))
    }

    /// Signs a new person up; the address is unique in the process.
    pub async fn sign_up(&self, name: &str) -> anyhow::Result<Person> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let email = format!("{}{}@example.com", name.to_lowercase(), NEXT.fetch_add(1, Ordering::Relaxed));
        let body = json!({ "email": email, "password": PASSWORD, "display_name": name });
        let (status, session) = self.send(Method::POST, "/auth/register", None, Some(&body)).await?;
        if status != StatusCode::CREATED {
            bail!("sign-up of {email}: {status}: {session}");
        }
        let token = session["access_token"].as_str().context("a session has an access token")?;
        Ok(Person {
            api: self.clone(),
            id: session["user"]["id"].as_str().unwrap_or_default().to_owned(),
            email,
            token: token.to_owned(),
            session,
        })
    }
}

/// Somebody with an account, logged in.
#[derive(Debug, Clone)]
pub struct Person {
    api: Api,
    /// User id.
    pub id: String,
    /// Address of the account.
    pub email: String,
    /// Access token.
    pub token: String,
    /// The whole answer of the sign-up.
    pub session: Value,
}

impl Person {
    /// One request as this person.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        self.api.send(method, path, Some(&self.token), body).await
    }

    /// GET that must succeed.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        success(path, self.send(Method::GET, path, None).await?)
    }

    /// POST that must succeed.
    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        success(path, self.send(Method::POST, path, Some(&body)).await?)
    }

    /// DELETE that must succeed.
    pub async fn delete(&self, path: &str) -> anyhow::Result<()> {
        success(path, self.send(Method::DELETE, path, None).await?).map(drop)
    }

    /// Creates a room and answers its id.
    pub async fn create_room(&self, name: &str) -> anyhow::Result<String> {
        let room = self.post("/rooms", json!({ "name": name })).await?;
        Ok(room["id"].as_str().context("a room has an id")?.to_owned())
    }

    /// What this person needs to join a room: `url`, `token`, …
    pub async fn join(&self, room_id: &str) -> anyhow::Result<Value> {
        self.post(&format!("/rooms/{room_id}/token"), json!({})).await
    }

    /// Lets `other` into a room by an invitation link.
    pub async fn invite(&self, room_id: &str, other: &Self) -> anyhow::Result<()> {
        let invite = self.post(&format!("/rooms/{room_id}/invites"), json!({})).await?;
        let token = invite["token"].as_str().context("a new invite has a token")?;
        other.post(&format!("/invites/{token}/join"), json!({})).await.map(drop)
    }
}

fn success(path: &str, (status, value): Answer) -> anyhow::Result<Value> {
    if status.is_success() {
        return Ok(value);
    }
    bail!("{path}: {status}: {value}")
}
