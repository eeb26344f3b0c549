//! `/ws`: who gets in, and who hears what.

use crate::calls::{Bus, event, place, status};
use crate::client::Person;
use crate::stack::Stack;
use aura_testkit::{RedisServer, eventually, tokens};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const SOON: Duration = Duration::from_secs(10);

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(stack: &Stack, origin: Option<&str>) -> Result<Self, Error> {
        let mut request = format!("ws://{}/ws", stack.http()).into_client_request()?;
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        connect_async(request).await.map(|(socket, _)| Self(socket))
    }

    async fn of(stack: &Stack, person: &Person) -> Self {
        let mut socket = Self::open(stack, None).await.unwrap();
        socket.send(json!({"type": "auth", "data": {"token": person.session["access_token"]}})).await;
        assert_eq!(socket.next().await, Ok(json!({"type": "ready"})));
        socket
    }

    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next JSON message, or the close code.
    async fn next(&mut self) -> Result<Value, u16> {
        loop {
            match timeout(SOON, self.0.next()).await.expect("a message comes") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(1005, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }
}

#[tokio::test]
async fn parties_of_a_call_hear_of_it_and_others_do_not() {
    let stack = Stack::start().await;
    let (alice, bob, eve) =
        (stack.person("Alice").await, stack.person("Bob").await, stack.person("Eve").await);
    let mut sockets = [Socket::of(&stack, &alice).await, Socket::of(&stack, &bob).await];
    let mut eves = Socket::of(&stack, &eve).await;
    let call = place(&alice, &bob).await;
    for socket in &mut sockets {
        let push = socket.next().await.unwrap();
        assert_eq!((&push["type"], &push["data"]), (&json!("call_updated"), &call));
        assert!(push["timestamp"].as_i64().unwrap() > 1_700_000_000_000);
    }
    let bus = Bus::new(RedisServer::shared().url());
    eventually(SOON, || async {
        bus.publish(event("room:participant_joined", &call, Some((&alice, "PA_1"))));
        status(&alice, &call).await == "ringing"
    })
    .await;
    for socket in &mut sockets {
        assert_eq!(socket.next().await.unwrap()["data"]["status"], json!("ringing"));
    }
    eves.send(json!({"type": "ping"})).await;
    assert_eq!(eves.next().await, Ok(json!({"type": "pong"})), "the pong is the first thing Eve hears");
}

#[tokio::test]
async fn another_instance_pushes_too() {
    let here = Stack::start().await;
    let options = crate::stack::Options { database: Some(here.database.clone()), ..Default::default() };
    let there = Stack::with(options).await;
    let (alice, bob) = (here.person("Alice").await, here.person("Bob").await);
    let mut socket = Socket::of(&there, &bob).await;
    // The other instance's subscription may still be on its way: call until Bob hears it.
    let heard = async {
        loop {
            let call = place(&alice, &bob).await;
            alice.post(&format!("/calls/{}/end", call["id"].as_str().unwrap()), json!({})).await.expect(200);
            if let Ok(push) = timeout(Duration::from_millis(300), socket.next()).await {
                return push.unwrap();
            }
        }
    };
    let push = timeout(SOON, heard).await.expect("Bob hears of a call");
    let caller = &push["data"]["caller"]["id"];
    assert_eq!(caller, &json!(alice.id));
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let room = alice.room().await;
    let guest = tokens::user(
        crate::stack::USER_SECRET,
        json!({"sub": format!("guest-{}", uuid::Uuid::new_v4()), "scope": format!("room:{room}")}),
    );
    let real = &alice.session["access_token"];
    for first in [
        json!({"type": "auth", "data": {"token": "x.y.z"}}),
        json!({"type": "auth", "data": {"token": guest}}),
        json!({"type": "auth", "data": {}}),
        json!({"type": "auth"}),
        json!({"type": "ping"}),
        json!({"type": "ready", "data": {"token": real}}),
        json!([]),
    ] {
        let mut socket = Socket::open(&stack, None).await.unwrap();
        socket.send(first.clone()).await;
        assert_eq!(socket.next().await, Err(1008), "{first}");
    }
    let mut silent = Socket::open(&stack, None).await.unwrap();
    assert_eq!(silent.next().await, Err(1008), "five seconds to say who one is");
}

#[tokio::test]
async fn only_our_own_pages_open_one() {
    let stack = Stack::start().await;
    let own = format!("http://{}", stack.http());
    assert!(Socket::open(&stack, Some(&own)).await.is_ok());
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        match Socket::open(&stack, Some(origin)).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 403, "{origin}"),
            other => panic!("{origin}: {:?}", other.err()),
        }
    }
    let plain = reqwest::get(stack.anonymous().url("/ws")).await.unwrap();
    assert_eq!(plain.status(), 400, "a plain request is told what speaks here");
}

#[tokio::test]
async fn nonsense_ends_the_conversation() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    for message in [json!({"type": "dance"}), json!({"type": 7}), json!("ping")] {
        let mut socket = Socket::of(&stack, &alice).await;
        socket.send(message.clone()).await;
        assert_eq!(socket.next().await, Err(4002), "{message}");
    }
    let mut socket = Socket::of(&stack, &alice).await;
    let _ = socket.0.send(Message::text("x".repeat(20_000))).await;
    assert!(matches!(socket.next().await, Err(1006 | 1009)));
}

#[tokio::test]
async fn chatter_is_limited() {
    let options = crate::stack::Options::default().set("AURA_DASHBOARD__LIMITS__WEBSOCKET_PER_USER", 5);
    let stack = Stack::with(options).await;
    let alice = stack.person("Alice").await;
    let mut socket = Socket::of(&stack, &alice).await;
    for _ in 0..5 {
        socket.send(json!({"type": "ping"})).await;
        assert_eq!(socket.next().await, Ok(json!({"type": "pong"})));
    }
    socket.send(json!({"type": "ping"})).await;
    assert_eq!(socket.next().await, Err(4003));
}
