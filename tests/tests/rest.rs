//! Every operation of the OpenAPI document, asked by who may not and with what it must not take.
//!
//! The cases come from the document the dashboard serves, so a new operation is tested the day it appears. Each
//! answer must be documented, must be problem+json when it refuses, and must tell nothing of the inside.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use auralink_tests::openapi::{Operation, operations, resolve, sample, wrong};
use auralink_tests::{Outcome, Person, SfuOptions, Stack, entries};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Map, Value, json};

/// What an error must never show.
const INSIDE: [&str; 9] =
    ["panicked", "sqlx", "postgres", "SELECT ", "INSERT ", "redis", "crates/", "src/", "stack backtrace"];

struct Service {
    stack: Stack,
    client: Client,
    document: Value,
    operations: Vec<Operation>,
}

impl Service {
    async fn start() -> anyhow::Result<Self> {
        let unlimited = [
            "AURA_DASHBOARD__LIMITS__REQUESTS_PER_USER",
            "AURA_DASHBOARD__LIMITS__LOGIN_PER_ACCOUNT",
            "AURA_DASHBOARD__LIMITS__LOGIN_PER_ACCOUNT_ANYWHERE",
            "AURA_DASHBOARD__LIMITS__LOGIN_PER_ADDRESS",
            "AURA_DASHBOARD__LIMITS__REGISTER_PER_ADDRESS",
            "AURA_DASHBOARD__LIMITS__LINKS_PER_ADDRESS",
        ]
        .map(|limit| (limit, "1000000".to_owned()));
        let stack = Stack::start_whole(SfuOptions::default(), unlimited.to_vec()).await?;
        let document: Value = reqwest::get(format!("{}/api/openapi.json", stack.url)).await?.json().await?;
        let operations = operations(&document)?;
        ensure!(operations.len() > 30, "the document holds only {} operations", operations.len());
        Ok(Self { stack, client: Client::new(), document, operations })
    }

    /// Asks, and checks of the answer what must hold for every answer.
    async fn ask(
        &self,
        operation: &Operation,
        path: &str,
        token: Option<&str>,
        body: Body<'_>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.client.request(operation.method.clone(), format!("{}{path}", self.stack.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request = match body {
            Body::None => request,
            Body::Json(value) => request.json(value),
            Body::Text(text) => request.header("content-type", "application/json").body(text.to_owned()),
            Body::File => {
                let part = reqwest::multipart::Part::text("hello").file_name("hello.txt");
                request.multipart(reqwest::multipart::Form::new().part("file", part))
            }
        };
        let name = operation.name();
        let reply = request.send().await.with_context(|| name.clone())?;
        let status = reply.status();
        let kind = reply.headers().get("content-type").and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let text = reply.text().await?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text.clone()));

        let code = status.as_u16().to_string();
        ensure!(operation.statuses.contains(&code), "{name}: {code} is not documented: {text}");
        ensure!(!status.is_server_error(), "{name}: {status}: {text}");
        if status.is_client_error() {
            ensure!(
                kind.as_deref() == Some("application/problem+json"),
                "{name}: {status} as {kind:?}: {text}"
            );
            for field in ["type", "title", "detail", "code", "request_id"] {
                ensure!(value[field].is_string(), "{name}: {status} without {field}: {text}");
            }
            ensure!(value["status"] == json!(status.as_u16()), "{name}: {text}");
            let told = INSIDE.iter().find(|word| text.contains(**word));
            ensure!(told.is_none(), "{name}: tells of {told:?}: {text}");
        }
        Ok((status, value))
    }

    /// A body the operation's schema allows.
    fn valid_body(&self, operation: &Operation) -> Option<Value> {
        operation.body.as_ref().map(|schema| sample(&self.document, schema))
    }
}

#[derive(Clone, Copy)]
enum Body<'a> {
    None,
    Json(&'a Value),
    Text(&'a str),
    File,
}

/// What Alice owns and Bob has been let into; nobody else has a part in it.
struct Belongings {
    alice: Person,
    bob: Person,
    eve: Person,
    /// Token of somebody without an account, for Alice's room.
    guest: String,
    /// The same for another room of Alice's.
    guest_elsewhere: String,
    values: BTreeMap<&'static str, String>,
}

impl Belongings {
    async fn make(service: &Service) -> anyhow::Result<Self> {
        let api = service.stack.api();
        let (alice, bob, eve) =
            (api.sign_up("Alice").await?, api.sign_up("Bob").await?, api.sign_up("Eve").await?);
        let room = alice.create_room("Private").await?;
        let elsewhere = alice.create_room("Elsewhere").await?;
        alice.invite(&room, &bob).await?;
        let invite = alice.post(&format!("/rooms/{room}/invites"), json!({})).await?;
        let upload = Operation {
            method: Method::POST,
            path: "/api/v1/files".to_owned(),
            is_public: false,
            takes_nobody: false,
            body: None,
            is_upload: true,
            query: Vec::new(),
            statuses: vec!["201".to_owned()],
        };
        let (_, file) = service.ask(&upload, &upload.path, Some(&alice.token), Body::File).await?;
        let path = format!("/files/{}/shares", text(&file, "id"));
        let share = alice.post(&path, json!({})).await?;
        let call = alice.post("/calls", json!({ "callee_id": bob.id, "media": "audio" })).await?;
        alice.post("/contacts", json!({ "user_id": bob.id })).await?;
        let values = BTreeMap::from([
            ("room_id", room.clone()),
            ("invite_id", text(&invite, "id")),
            ("file_id", text(&file, "id")),
            ("share_id", text(&share, "id")),
            ("call_id", text(&call["call"], "id")),
            ("user_id", bob.id.clone()),
            ("identity", alice.id.clone()),
        ]);
        let guest = guest_token(service, &alice, &room).await?;
        let guest_elsewhere = guest_token(service, &alice, &elsewhere).await?;
        Ok(Self { alice, bob, eve, guest, guest_elsewhere, values })
    }

    /// The operation's path with Alice's ids in it.
    fn path(&self, operation: &Operation) -> String {
        let filled = self
            .values
            .iter()
            .fold(operation.path.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
        let filled = filled.replace("{token}", "no-such-token");
        assert!(!filled.contains('{'), "teach this test what {} means", operation.path);
        filled
    }

    /// Everything Alice can see of her own; must not change by what others try.
    async fn snapshot(&self) -> anyhow::Result<Value> {
        let room = &self.values["room_id"];
        let file = &self.values["file_id"];
        let mut all = Map::new();
        for path in [
            "/rooms".to_owned(),
            format!("/rooms/{room}"),
            format!("/rooms/{room}/invites"),
            format!("/rooms/{room}/messages"),
            format!("/rooms/{room}/files"),
            "/files".to_owned(),
            format!("/files/{file}/shares"),
            format!("/calls/{}", self.values["call_id"]),
            "/contacts".to_owned(),
            "/auth/me".to_owned(),
        ] {
            all.insert(path.clone(), self.alice.get(&path).await?);
        }
        Ok(Value::Object(all))
    }
}

async fn guest_token(service: &Service, owner: &Person, room: &str) -> anyhow::Result<String> {
    let invite = owner.post(&format!("/rooms/{room}/invites"), json!({})).await?;
    let path = format!("/invites/{}/join", text(&invite, "token"));
    let body = json!({ "display_name": "Grace" });
    let (status, join) = service.stack.api().send(Method::POST, &path, None, Some(&body)).await?;
    ensure!(status.is_success(), "{status}: {join}");
    Ok(text(&join, "guest_token"))
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn nobody_reaches_what_belongs_to_another() -> Outcome {
    let service = Service::start().await?;
    let belongings = Belongings::make(&service).await?;
    let before = belongings.snapshot().await?;
    let roles = [
        ("a stranger", belongings.eve.token.as_str()),
        ("a guest of another room", belongings.guest_elsewhere.as_str()),
    ];
    let mut faults = Vec::new();
    for operation in service.operations.iter().filter(|operation| operation.names_a_belonging()) {
        let path = belongings.path(operation);
        let body = service.valid_body(operation);
        for (role, token) in roles {
            let body =
                if operation.is_upload { Body::File } else { body.as_ref().map_or(Body::None, Body::Json) };
            match service.ask(operation, &path, Some(token), body).await {
                Ok((StatusCode::NOT_FOUND, _)) => {}
                Ok((StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)) if role != "a stranger" => {}
                Ok((status, value)) => {
                    faults.push(format!("{role}: {}: {status}: {value}", operation.name()));
                }
                Err(error) => faults.push(format!("{role}: {error:#}")),
            }
        }
    }
    // Lists name nothing: they hold only what is the asker's.
    for operation in service.operations.iter().filter(|o| o.method == Method::GET && !o.path.contains('{')) {
        let path = if operation.path.ends_with("/search") {
            format!("{}?q=zz", operation.path)
        } else {
            operation.path.clone()
        };
        let (_, listed) = service.ask(operation, &path, Some(&belongings.eve.token), Body::None).await?;
        let listed = listed.to_string();
        for (name, value) in &belongings.values {
            if listed.contains(value.as_str()) {
                faults.push(format!("a stranger: {}: shows {name}", operation.name()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(belongings.snapshot().await?, before, "a refused request had an effect");
    Ok(())
}

#[tokio::test]
async fn a_member_is_not_the_owner_and_a_guest_is_no_member() -> Outcome {
    let service = Service::start().await?;
    let belongings = Belongings::make(&service).await?;
    let before = belongings.snapshot().await?;
    let owners = [
        "PATCH /api/v1/rooms/{room_id}",
        "DELETE /api/v1/rooms/{room_id}",
        "GET /api/v1/rooms/{room_id}/invites",
        "POST /api/v1/rooms/{room_id}/invites",
        "DELETE /api/v1/rooms/{room_id}/invites/{invite_id}",
        "DELETE /api/v1/rooms/{room_id}/participants/{identity}",
        "GET /api/v1/rooms/{room_id}/removed",
        "DELETE /api/v1/rooms/{room_id}/removed/{identity}",
        "POST /api/v1/rooms/{room_id}/participants/{identity}/mute",
    ];
    let guests = [
        "GET /api/v1/rooms/{room_id}/messages",
        "POST /api/v1/rooms/{room_id}/messages",
        "GET /api/v1/rooms/{room_id}/files",
        "POST /api/v1/rooms/{room_id}/files",
    ];
    for name in owners.iter().chain(&guests) {
        ensure(service.operations.iter().any(|operation| operation.name() == *name), name)?;
    }
    let mut faults = Vec::new();
    for operation in service.operations.iter().filter(|operation| operation.names_a_belonging()) {
        let path = belongings.path(operation);
        let body = service.valid_body(operation);
        let body =
            if operation.is_upload { Body::File } else { body.as_ref().map_or(Body::None, Body::Json) };
        let name = operation.name();
        if owners.contains(&name.as_str()) {
            match service.ask(operation, &path, Some(&belongings.bob.token), body).await {
                Ok((StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, _)) => {}
                Ok((status, value)) => faults.push(format!("a member: {name}: {status}: {value}")),
                Err(error) => faults.push(format!("a member: {error:#}")),
            }
        }
        if !guests.contains(&name.as_str()) {
            match service.ask(operation, &path, Some(&belongings.guest), body).await {
                Ok((StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, _)) => {}
                Ok((status, value)) => faults.push(format!("a guest: {name}: {status}: {value}")),
                Err(error) => faults.push(format!("a guest: {error:#}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(belongings.snapshot().await?, before, "a refused request had an effect");
    Ok(())
}

fn ensure(holds: bool, name: &str) -> anyhow::Result<()> {
    ensure!(holds, "{name} is not in the document any more");
    Ok(())
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_told() -> Outcome {
    let service = Service::start().await?;
    let belongings = Belongings::make(&service).await?;
    let forged = format!("{}x", belongings.alice.token);
    let mut faults = Vec::new();
    for operation in service.operations.iter().filter(|operation| !operation.takes_nobody) {
        let path = belongings.path(operation);
        let body = service.valid_body(operation);
        let body =
            if operation.is_upload { Body::File } else { body.as_ref().map_or(Body::None, Body::Json) };
        let nobody = (!operation.is_public).then_some(("nobody", None));
        for (who, token) in
            nobody.into_iter().chain([("a forger", Some(forged.as_str())), ("nonsense", Some("x.y.z"))])
        {
            match service.ask(operation, &path, token, body).await {
                Ok((StatusCode::UNAUTHORIZED, _)) => {}
                Ok((status, value)) => faults.push(format!("{who}: {}: {status}: {value}", operation.name())),
                Err(error) => faults.push(format!("{who}: {error:#}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

#[tokio::test]
async fn unknown_fields_and_wrong_types_are_named() -> Outcome {
    let service = Service::start().await?;
    let belongings = Belongings::make(&service).await?;
    let mut faults = Vec::new();
    let mut cases = 0;
    for operation in &service.operations {
        let Some(schema) = &operation.body else { continue };
        let path = belongings.path(operation);
        let token = (!operation.takes_nobody).then_some(belongings.alice.token.as_str());
        let schema = resolve(&service.document, schema);
        let valid = sample(&service.document, schema);
        let mut bodies = vec![("surprise".to_owned(), with(&valid, "surprise", json!(true)))];
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            bodies.push((field.clone(), with(&valid, field, wrong(&service.document, property))));
        }
        for (field, body) in bodies {
            cases += 1;
            match service.ask(operation, &path, token, Body::Json(&body)).await {
                Ok((StatusCode::BAD_REQUEST, problem)) => {
                    let names = entries(&problem["errors"]).any(|error| error["field"] == json!(field));
                    if problem["code"] != "invalid_argument" || !names {
                        faults.push(format!("{}: {field}: does not name it: {problem}", operation.name()));
                    }
                }
                Ok((status, value)) => {
                    faults.push(format!("{}: {field}: {status}: {value}", operation.name()));
                }
                Err(error) => faults.push(format!("{field}: {error:#}")),
            }
        }
        for text in ["", "{", "[]", "7", "\u{0}", "{\"a\":1}{\"b\":2}"] {
            cases += 1;
            match service.ask(operation, &path, token, Body::Text(text)).await {
                Ok((StatusCode::BAD_REQUEST, _)) => {}
                // Where every field is optional, no body is an empty one.
                Ok((status, _)) if text.is_empty() && !status.is_server_error() => {}
                Ok((status, value)) => {
                    faults.push(format!("{}: {text:?}: {status}: {value}", operation.name()));
                }
                Err(error) => faults.push(format!("{text:?}: {error:#}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(cases > 80, "only {cases} cases");
    Ok(())
}

#[tokio::test]
async fn malformed_addresses_are_refused() -> Outcome {
    let service = Service::start().await?;
    let belongings = Belongings::make(&service).await?;
    let mut faults = Vec::new();
    for operation in &service.operations {
        let token = (!operation.takes_nobody).then_some(belongings.alice.token.as_str());
        let body = service.valid_body(operation);
        let body =
            if operation.is_upload { Body::File } else { body.as_ref().map_or(Body::None, Body::Json) };
        let mut paths: Vec<String> = Vec::new();
        for bad in ["not-a-uuid", "..%2f..%2fetc%2fpasswd", "%00", "'%20or%201=1--"] {
            if operation.names_a_belonging() {
                let name = operation.path.split(['{', '}']).nth(1).unwrap_or_default().to_owned();
                paths.push(belongings.path(operation).replacen(&belongings.values[name.as_str()], bad, 1));
            }
        }
        let own = belongings.path(operation);
        for parameter in &operation.query {
            for bad in ["abc", "-1", "99999999999999999999"] {
                paths.push(format!("{own}?{parameter}={bad}"));
            }
        }
        for path in paths {
            match service.ask(operation, &path, token, body).await {
                Ok((StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND, _)) => {}
                Ok((status, value)) => faults.push(format!("{path}: {status}: {value}")),
                Err(error) => faults.push(format!("{path}: {error:#}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn with(valid: &Value, field: &str, value: Value) -> Value {
    let mut body = valid.clone();
    if let Some(body) = body.as_object_mut() {
        body.insert(field.to_owned(), value);
    }
    body
}
