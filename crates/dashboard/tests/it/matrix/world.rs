//! What there is to protect: Alice's things, and the three who are after them.

use crate::client::{Client, Person};
use crate::stack::Stack;
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) struct World {
    pub(super) alice: Person,
    pub(super) anonymous: Client,
    pub(super) eve: Person,
    /// Let into a room of somebody else's by a link.
    pub(super) guest: Client,
    /// A value for every path parameter: Alice's, except for tokens of links, which would be keys.
    pub(super) ids: Vec<(&'static str, String)>,
    /// What must never show up in an answer to the others.
    pub(super) secrets: Vec<String>,
    paths: Vec<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl World {
    pub(super) async fn build(stack: &Stack) -> Self {
        let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
        let (eve, frank) = (stack.person("Eve").await, stack.person("Frank").await);
        let body = json!({"name": "Secret merger talks", "description": "the price is 12 dollars"});
        let room = alice.room_with(body).await;
        let invite = alice.post(&format!("/rooms/{room}/invites"), json!({})).await.expect(201);
        let message = json!({"id": Uuid::new_v4(), "text": "the launch code is tango-seven-kilo"});
        alice.post(&format!("/rooms/{room}/messages"), message.clone()).await.expect(201);
        alice.upload(&format!("/rooms/{room}/files"), "merger-terms.txt", "the terms").await.expect(201);
        let file = alice.upload("/files", "diary.txt", "dear diary").await.expect(201);
        let shares = format!("/files/{}/shares", text(&file["id"]));
        let share = alice.post(&shares, json!({})).await.expect(201);
        let call = alice.post("/calls", json!({"callee_id": bob.id, "media": "video"})).await.expect(201);
        alice.post("/contacts", json!({"user_id": bob.id})).await.expect(201);

        alice.post("/aic/config", json!({"mode": "aggressive"})).await.expect(200);
        let audio = crate::aic::report(json!({}));
        alice.post("/aic/metrics", audio.clone()).await.expect(204);

        let other_room = frank.room().await;
        let link = frank.invite(&other_room).await;
        let join =
            stack.anonymous().post(&format!("/invites/{link}/join"), json!({"display_name": "Gus"})).await;
        let guest = stack.anonymous().with_token(join.expect(200)["guest_token"].as_str().unwrap());

        let (file_id, call_id) = (text(&file["id"]), text(&call["call"]["id"]));
        let secrets = [
            &invite["token"],
            &share["token"],
            &call["join"]["token"],
            &message["id"],
            &file["sha256"],
            &audio["session_id"],
        ];
        let mut secrets: Vec<_> = secrets.into_iter().map(text).collect();
        secrets.extend([room.clone(), file_id.clone(), call_id.clone(), alice.email.clone()]);
        secrets.extend(
            ["Secret merger", "12 dollars", "tango-seven-kilo", "merger-terms", "the terms", "diary"]
                .map(str::to_owned),
        );
        Self {
            paths: vec![
                format!("/rooms/{room}"),
                format!("/rooms/{room}/invites"),
                format!("/rooms/{room}/messages"),
                format!("/rooms/{room}/files"),
                "/rooms".into(),
                "/files".into(),
                format!("/files/{file_id}"),
                shares,
                "/calls".into(),
                format!("/calls/{call_id}"),
                "/contacts".into(),
                "/auth/me".into(),
                "/aic/config".into(),
                "/aic/sessions".into(),
                "/aic/alerts".into(),
            ],
            ids: vec![
                ("room_id", room),
                ("invite_id", text(&invite["id"])),
                ("identity", alice.id.clone()),
                ("user_id", bob.id.clone()),
                ("call_id", call_id),
                ("file_id", file_id),
                ("share_id", text(&share["id"])),
                ("token", "guessed".into()),
            ],
            anonymous: stack.anonymous(),
            alice,
            eve,
            guest,
            secrets,
        }
    }

    /// Everything of Alice's, as Alice sees it.
    pub(super) async fn snapshot(&self) -> Vec<Value> {
        let mut seen = Vec::new();
        for path in &self.paths {
            seen.push(self.alice.get(path).await.expect(200));
        }
        seen
    }
}
