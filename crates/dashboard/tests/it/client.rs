//! Requests as a client makes them, and answers as tests look at them.

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A client without, or with, a Bearer token.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

/// An account and its client.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) client: Client,
    pub(crate) id: String,
    pub(crate) aura_id: String,
    pub(crate) email: String,
    pub(crate) session: Value,
}

impl std::ops::Deref for Person {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Person {
    /// The same person, talking to another instance.
    pub(crate) fn moved_to(&self, stack: &crate::stack::Stack) -> Self {
        let token = self.session["access_token"].as_str().unwrap();
        Self { client: stack.anonymous().with_token(token), ..self.clone() }
    }
}

pub(crate) const PASSWORD: &str = "correct horse battery";

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { base: format!("http://{address}"), token: None, http: reqwest::Client::new() }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same, from another address of this machine.
    pub(crate) fn from(&self, address: [u8; 4]) -> Self {
        let http = reqwest::Client::builder().local_address(std::net::IpAddr::from(address)).build();
        Self { http: http.expect("a client can be made"), ..self.clone() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let path =
            if path.starts_with("/api") || path == "/" { path.to_owned() } else { format!("/api/v1{path}") };
        let request = self.http.request(method, self.url(&path));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn upload(&self, path: &str, name: &str, bytes: impl Into<Vec<u8>>) -> Answer {
        let part = reqwest::multipart::Part::bytes(bytes.into()).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("file", part);
        Answer::of(self.request(Method::POST, path).multipart(form)).await
    }

    pub(crate) async fn register(&self, name: &str) -> Person {
        let email = format!("{}@example.org", uuid::Uuid::new_v4().simple());
        let session = self
            .post("/auth/register", json!({"email": email, "password": PASSWORD, "display_name": name}))
            .await
            .expect(201);
        let token = session["access_token"].as_str().unwrap();
        Person {
            client: self.with_token(token),
            id: session["user"]["id"].as_str().unwrap().to_owned(),
            aura_id: session["user"]["aura_id"].as_str().unwrap().to_owned(),
            email,
            session,
        }
    }

    /// A new room of this client's user; its id.
    pub(crate) async fn room(&self) -> String {
        self.room_with(json!({"name": "Standup"})).await
    }

    pub(crate) async fn room_with(&self, body: Value) -> String {
        self.post("/rooms", body).await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    /// A new invitation into a room; its token.
    pub(crate) async fn invite(&self, room: &str) -> String {
        let invite = self.post(&format!("/rooms/{room}/invites"), json!({})).await.expect(201);
        invite["token"].as_str().unwrap().to_owned()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("the dashboard answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.expect("the answer is whole").to_vec();
        Self { status, headers, bytes }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The JSON body, which must have come with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.json()
    }

    /// A problem document with this status and code, naming `field` (empty: none).
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str, field: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(self.headers["content-type"], "application/problem+json", "{body}");
        assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(status)), "{body}");
        let named = body["errors"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(named, field, "{body}");
        body
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
