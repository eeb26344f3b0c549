//! `/ws`: who gets in, and who hears what.

use crate::calls::{Bus, event, place, status};
use crate::client::{Client, PASSWORD, Person};
use crate::stack::{Options, Stack, USER_SECRET};
use aura_testkit::{RedisServer, eventually, tokens};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
        Self::with(stack, &person.session["access_token"]).await
    }

    async fn with(stack: &Stack, token: &Value) -> Self {
        let mut socket = Self::open(stack, None).await.unwrap();
        socket.authenticate(token).await;
        assert_eq!(socket.next().await, Ok(json!({"type": "ready"})));
        socket
    }

    async fn authenticate(&mut self, token: &Value) {
        self.send(json!({"type": "auth", "data": {"token": token}})).await;
    }

    /// Sends these bytes as they are, and reads what comes until the server closes the connection.
    async fn raw(self, bytes: &[u8]) -> Vec<u8> {
        let MaybeTlsStream::Plain(mut stream) = self.0.into_inner() else { panic!("not encrypted") };
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the server closes");
        answer
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
    let options = Options { database: Some(here.database.clone()), ..Default::default() };
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
        USER_SECRET,
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
    let options = Options::default().set("AURA_DASHBOARD__LIMITS__WEBSOCKET_PER_USER", 5);
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

/// A token of this person's login that lives for so long.
fn short_lived(person: &Person, seconds: i64) -> Value {
    let payload = person.session["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&base64_url(payload)).unwrap();
    let exp = tokens::now_s() + seconds;
    json!(tokens::user(USER_SECRET, json!({"sub": person.id, "sid": claims["sid"], "exp": exp})))
}

fn base64_url(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

async fn log_out(client: &Client, session: &Value) {
    client.post("/auth/logout", json!({"refresh_token": session["refresh_token"]})).await.expect(204);
}

#[tokio::test]
async fn a_frame_is_bounded_by_its_header_and_may_not_stop_in_the_middle() {
    let stack = Stack::with(Options::default().set("AURA_DASHBOARD__WEBSOCKET__PING_S", 1)).await;
    let alice = stack.person("Alice").await;
    // A text frame that announces ten megabytes: nobody waits for them.
    let mut huge = vec![0x81, 0x80 | 127];
    huge.extend(10_000_000_u64.to_be_bytes());
    huge.extend([1, 2, 3, 4]);
    let socket = Socket::of(&stack, &alice).await;
    let answer =
        timeout(Duration::from_millis(900), socket.raw(&huge)).await.expect("refused before the first ping");
    assert!(!answer.contains(&0x89), "{answer:?}");

    // A text frame of five bytes of which one comes.
    let socket = Socket::of(&stack, &alice).await;
    let answer = socket.raw(&[0x81, 0x80 | 5, 1, 2, 3, 4, b'x']).await;
    let code = 4408_u16.to_be_bytes();
    assert!(answer.windows(2).any(|pair| pair == code), "closed as silent: {answer:?}");

    // Who answers pings stays.
    let mut socket = Socket::of(&stack, &alice).await;
    assert!(
        timeout(Duration::from_millis(3_500), socket.next()).await.is_err(),
        "nothing is said, nothing closes"
    );
    socket.send(json!({"type": "ping"})).await;
    assert_eq!(socket.next().await, Ok(json!({"type": "pong"})));
}

#[tokio::test]
async fn logging_out_closes_the_sockets_of_that_login_on_every_instance() {
    let options = || Options::default().set("AURA_DASHBOARD__WEBSOCKET__SESSION_CHECK_S", 3_600);
    let here = Stack::with(options()).await;
    let there = Stack::with(Options { database: Some(here.database.clone()), ..options() }).await;
    let alice = here.person("Alice").await;
    let body = json!({"email": alice.email, "password": PASSWORD});
    let phone = here.anonymous().post("/auth/login", body).await.expect(200);
    let mut socket = Socket::of(&here, &alice).await;
    let mut phones = Socket::with(&there, &phone["access_token"]).await;
    // Sockets opened until one hears of the end: the other instance's subscription may still be on its way.
    let mut far = Socket::of(&there, &alice).await;
    log_out(&here.anonymous(), &alice.session).await;
    assert_eq!(socket.next().await, Err(4403));
    assert_eq!(far.next().await, Err(4403), "over the bus, or because the first subscription asks");
    phones.send(json!({"type": "ping"})).await;
    assert_eq!(phones.next().await, Ok(json!({"type": "pong"})), "another login goes on");

    // The token is good for minutes yet; its login is not.
    let mut late = Socket::open(&here, None).await.unwrap();
    late.authenticate(&alice.session["access_token"]).await;
    assert_eq!(late.next().await, Err(4403));
    // Nor does a login that never was open one.
    let mut forged = Socket::open(&here, None).await.unwrap();
    forged.authenticate(&json!(tokens::user(USER_SECRET, json!({"sub": alice.id})))).await;
    assert_eq!(forged.next().await, Err(4403));
}

#[tokio::test]
async fn a_stolen_refresh_token_costs_the_sockets_too() {
    let stack = Stack::with(Options::default().set("AURA_DASHBOARD__TOKENS__REFRESH_GRACE_S", 0)).await;
    let alice = stack.person("Alice").await;
    let mut socket = Socket::of(&stack, &alice).await;
    let body = json!({"refresh_token": alice.session["refresh_token"]});
    stack.anonymous().post("/auth/refresh", body.clone()).await.expect(200);
    stack.anonymous().post("/auth/refresh", body).await.problem(401, "unauthenticated", "");
    assert_eq!(socket.next().await, Err(4403));
}

#[tokio::test]
async fn an_end_that_the_bus_lost_is_found_in_the_database() {
    let stack = Stack::with(Options::default().set("AURA_DASHBOARD__WEBSOCKET__SESSION_CHECK_S", 1)).await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let (mut socket, mut bobs) = (Socket::of(&stack, &alice).await, Socket::of(&stack, &bob).await);
    let mut db = stack.database.superuser().await;
    let sql = "UPDATE dashboard.refresh_families SET revoked_at = now(), revoke_reason = 'logout' WHERE user_id = $1::uuid";
    sqlx::query(sql).bind(&alice.id).execute(&mut db).await.unwrap();
    assert_eq!(socket.next().await, Err(4403));
    bobs.send(json!({"type": "ping"})).await;
    assert_eq!(bobs.next().await, Ok(json!({"type": "pong"})));
}

#[tokio::test]
async fn a_socket_lives_as_long_as_its_token_unless_that_is_renewed() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let mut expiring = Socket::with(&stack, &short_lived(&alice, 2)).await;
    let mut renewed = Socket::with(&stack, &short_lived(&alice, 2)).await;
    renewed.authenticate(&alice.session["access_token"]).await;
    assert_eq!(renewed.next().await, Ok(json!({"type": "ready"})));
    assert_eq!(expiring.next().await, Err(4401));
    renewed.send(json!({"type": "ping"})).await;
    assert_eq!(renewed.next().await, Ok(json!({"type": "pong"})));
    // Nobody becomes somebody else on the way.
    renewed.authenticate(&bob.session["access_token"]).await;
    assert_eq!(renewed.next().await, Err(1008));
}
