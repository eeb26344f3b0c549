//! The security matrix, generated from the OpenAPI document: every operation, tried by those it is not for, with
//! somebody else's ids; and every body, spoilt field by field. A new operation is covered by being documented.

mod operation;
mod world;

use crate::client::{Answer, Client};
use crate::stack::Stack;
use aura_testkit::tokens;
use operation::{Operation, operations};
use serde_json::{Value, json};
use world::World;

/// Sends an operation with a valid body.
async fn send(client: &Client, operation: &Operation, world: &World) -> Answer {
    let request = client.request(operation.method.clone(), &operation.url(world));
    Answer::of(match &operation.body {
        operation::Body::None => request,
        operation::Body::Json(schema) => request.json(&operation::valid(schema)),
        operation::Body::Form => {
            let part = reqwest::multipart::Part::bytes(b"hello".to_vec()).file_name("a.txt");
            request.multipart(reqwest::multipart::Form::new().part("file", part))
        }
    })
    .await
}

/// Whatever happens: a documented status, a problem document for errors, and nothing of Alice's.
fn check(answer: &Answer, operation: &Operation, world: &World, role: &str) {
    let place = format!("{operation} as {role}: {} {}", answer.status, answer.text());
    let status = answer.status.as_u16().to_string();
    assert!(operation.statuses.contains(&status), "undocumented status: {place}");
    assert!(!answer.status.is_server_error() || status == "503", "{place}");
    if answer.status.is_client_error() {
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{place}");
        assert_eq!(answer.json()["status"], json!(answer.status.as_u16()), "{place}");
    }
    for secret in &world.secrets {
        assert!(!answer.text().contains(secret.as_str()), "{secret} leaks: {place}");
    }
}

#[tokio::test]
async fn another_users_things_are_out_of_reach_for_everyone() {
    let (stack, _codec) = Stack::with_codec().await;
    let world = World::build(&stack).await;
    let before = world.snapshot().await;
    let all = operations();
    assert!(all.len() >= 50, "{} operations", all.len());
    for operation in &all {
        let answer = send(&world.anonymous, operation, &world).await;
        check(&answer, operation, &world, "anonymous");
        if !operation.public {
            assert_eq!(answer.status, 401, "{operation} as anonymous");
        }
        let answer = send(&world.eve, operation, &world).await;
        check(&answer, operation, &world, "another user");
        if operation.takes_ids() {
            assert_eq!(answer.status, 404, "{operation} as another user: {}", answer.text());
        }
        let answer = send(&world.guest, operation, &world).await;
        check(&answer, operation, &world, "a guest of another room");
        if !operation.public {
            let status = answer.status.as_u16();
            assert!([403, 404].contains(&status), "{operation} as a guest: {}", answer.text());
        }
    }
    assert_eq!(world.snapshot().await, before, "somebody changed something of Alice's");
}

#[tokio::test]
async fn bad_tokens_open_nothing() {
    let (stack, _codec) = Stack::with_codec().await;
    let world = World::build(&stack).await;
    let now = tokens::now_s();
    let claims = json!({"sub": world.alice.id, "aud": "auralink", "sid": "x", "iat": now, "exp": now + 900});
    let secret = crate::stack::USER_SECRET;
    let bad = [
        (
            "expired",
            tokens::user(secret, json!({"sub": world.alice.id, "iat": now - 2000, "exp": now - 1000})),
        ),
        ("forged", tokens::signed("another secret of thirty-two bytes!", &claims)),
        ("alg none", tokens::alg_none(&claims)),
    ];
    for operation in operations().iter().filter(|operation| !operation.public) {
        for (what, token) in &bad {
            let answer = send(&world.anonymous.with_token(token), operation, &world).await;
            check(&answer, operation, &world, what);
            assert_eq!(answer.status, 401, "{operation} with a token that is {what}");
        }
    }
}

#[tokio::test]
async fn every_spoilt_body_is_refused_by_the_name_of_its_field() {
    let (stack, _codec) = Stack::with_codec().await;
    let world = World::build(&stack).await;
    let mut tried = 0;
    for operation in operations() {
        let operation::Body::Json(schema) = &operation.body else { continue };
        let post = async |body: &Value| {
            let url = operation.url(&world);
            Answer::of(world.alice.request(operation.method.clone(), &url).json(body)).await
        };
        let valid = operation::valid(schema);
        let refused = async |body: Value, field: &str| {
            let answer = post(&body).await;
            let named = answer.json()["errors"][0]["field"].clone();
            assert_eq!(
                (answer.status.as_u16(), &named),
                (400, &json!(field)),
                "{operation} {body}: {}",
                answer.text()
            );
            assert_eq!(answer.headers["content-type"], "application/problem+json", "{operation}");
        };
        let mut unknown = valid.clone();
        unknown["surprise"] = json!(1);
        refused(unknown, "surprise").await;
        for (name, field) in operation::fields(schema) {
            let mut spoilt = valid.clone();
            spoilt[&name] = operation::wrong(&field);
            refused(spoilt, &name).await;
            tried += 1;
        }
        for name in operation::required(schema) {
            let mut lacking = valid.clone();
            lacking.as_object_mut().unwrap().remove(&name);
            refused(lacking, &name).await;
        }
        for not_an_object in [json!([]), json!("x"), json!(null), json!(7)] {
            let answer = post(&not_an_object).await;
            answer.problem(400, "invalid_argument", "");
        }
    }
    assert!(tried >= 30, "{tried} fields");
}

#[tokio::test]
async fn a_body_may_be_left_out_where_the_document_says_so() {
    let (stack, _codec) = Stack::with_codec().await;
    let world = World::build(&stack).await;
    let mut optional = 0;
    for operation in operations() {
        let operation::Body::Json(_) = &operation.body else { continue };
        let answer = Answer::of(world.alice.request(operation.method.clone(), &operation.url(&world))).await;
        let refused = [400, 415].contains(&answer.status.as_u16());
        assert_eq!(refused, operation.body_required, "{operation}: {}", answer.text());
        optional += usize::from(!operation.body_required);
    }
    assert!(optional >= 8, "{optional}");
}

#[tokio::test]
async fn every_body_is_bounded_and_must_be_json() {
    let (stack, _codec) = Stack::with_codec().await;
    let world = World::build(&stack).await;
    for operation in operations() {
        let operation::Body::Json(_) = &operation.body else { continue };
        let request = || world.alice.request(operation.method.clone(), &operation.url(&world));
        let big = format!("{{\"surprise\": \"{}\"}}", "x".repeat(70_000));
        let answer = Answer::of(request().header("content-type", "application/json").body(big)).await;
        answer.problem(413, "payload_too_large", "");
        let answer = Answer::of(request().header("content-type", "application/json").body("{")).await;
        answer.problem(400, "invalid_argument", "");
        let deep = "[".repeat(10_000);
        let answer = Answer::of(request().header("content-type", "application/json").body(deep)).await;
        assert_eq!(answer.status, 400, "{operation}");
        let answer = Answer::of(request().header("content-type", "text/plain").body("{}")).await;
        answer.problem(415, "unsupported_media_type", "");
    }
}
