//! Each neighbour killed during a call, and brought back: media go on, joins work again, nothing promised is lost.

use std::time::Duration;

use anyhow::anyhow;
use auralink_tests::{
    Browser, Mode, Outcome, Person, Stack, WebApp, Window, WindowOptions, entries, fixture, id, wait,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

/// After a neighbour's return, somebody new must be able to join within this.
const JOIN_LIMIT: Duration = Duration::from_secs(5);
/// After the SFU's return, browsers must be back within this.
const REJOIN_LIMIT: Duration = Duration::from_secs(10);
/// Longest accepted silence: one speech pause of the network, not an outage.
const GAP: Duration = Duration::from_millis(1500);

/// How many the room takes: two, and a newcomer.
const LIMIT: u64 = 3;

struct Call {
    stack: Stack,
    owner: Person,
    room: String,
    alice: Window,
    bob: Window,
    /// Open from the start: a browser that starts takes time from those whose gaps are measured.
    newcomer: Window,
    _browser: Browser,
}

impl Call {
    /// Two browsers in a room, seeing and hearing each other.
    async fn start() -> anyhow::Result<Self> {
        let (stack, browser) = tokio::try_join!(Stack::start(), Browser::start())?;
        let owner = stack.api().sign_up("Owner").await?;
        let room = owner.create_room("Under fire").await?;
        limit(&owner, &room, json!(LIMIT)).await?;
        let other = stack.api().sign_up("Other").await?;
        owner.invite(&room, &other).await?;
        let alice = enter(&browser, "alice", &owner.join(&room).await?).await?;
        let bob = enter(&browser, "bob", &other.join(&room).await?).await?;
        tokio::join!(alice.sees_and_hears([&bob]), bob.sees_and_hears([&alice]));
        let newcomer = browser.protocol_page("newcomer").await?;
        Ok(Self { stack, owner, room, alice, bob, newcomer, _browser: browser })
    }

    async fn watch(&self) -> anyhow::Result<()> {
        self.alice.watch_gaps([&self.bob]).await?;
        self.bob.watch_gaps([&self.alice]).await
    }

    async fn media_flow(&self) {
        tokio::join!(self.alice.sees_and_hears([&self.bob]), self.bob.sees_and_hears([&self.alice]));
    }

    async fn media_never_stopped(&self) -> anyhow::Result<()> {
        self.media_flow().await;
        for window in [&self.alice, &self.bob] {
            let (audio, video) = window.gaps().await?;
            let who = window.name();
            assert!(audio < GAP && video < GAP, "{who}: no sound for {audio:?}, no picture for {video:?}");
            let seen = window.evaluate("() => client.events", Value::Null).await?;
            let broken = |event: &&Value| event["name"] == "reconnecting" || event["name"] == "disconnected";
            assert_eq!(entries(&seen).find(broken), None, "{who}: {seen}");
        }
        Ok(())
    }

    /// Somebody without history signs up, is invited and is in the call, all within the limit; then media comes too.
    async fn newcomer_joins(&self) -> anyhow::Result<()> {
        let window = &self.newcomer;
        window.reload().await?;
        let joined = timeout(JOIN_LIMIT, async {
            let join = wait::until("a newcomer may join", JOIN_LIMIT, || async {
                self.admit_newcomer().await.map_err(|error| format!("{error:#}"))
            })
            .await;
            let argument = json!({ "url": join["url"], "token": join["token"], "publish": false });
            window.join(argument).await
        });
        joined.await.map_err(|_| anyhow!("no newcomer got into the call within {JOIN_LIMIT:?}"))??;
        window.sees_and_hears([&self.alice, &self.bob]).await;
        window.client("leave", Value::Null).await.map(drop)
    }

    async fn admit_newcomer(&self) -> anyhow::Result<Value> {
        let person = self.stack.api().sign_up("Newcomer").await?;
        self.owner.invite(&self.room, &person).await?;
        person.join(&self.room).await
    }
}

async fn enter(browser: &Browser, name: &str, join: &Value) -> anyhow::Result<Window> {
    let window = browser.protocol_page(name).await?;
    window.join(json!({ "url": join["url"], "token": join["token"] })).await?;
    Ok(window)
}

/// Writes chat messages until told to stop; answers the ids that were acknowledged.
async fn write_until(person: &Person, room: &str, done: &tokio::sync::Notify) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let stop = done.notified();
    tokio::pin!(stop);
    for number in 0_u64.. {
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        let body = json!({ "id": id, "text": format!("message {number}") });
        let path = format!("/rooms/{room}/messages");
        tokio::select! {
            answer = person.send(Method::POST, &path, Some(&body)) => match answer {
                Ok((status, _)) if status.is_success() => acknowledged.push(id),
                // Refused or cut off: nothing was promised. The dashboard's rate limit also slows this down.
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            () = &mut stop => break,
        }
    }
    acknowledged
}

async fn stored_messages(person: &Person, room: &str) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut before = String::new();
    loop {
        let page = person.get(&format!("/rooms/{room}/messages?limit=100{before}")).await?;
        ids.extend(entries(&page["items"]).filter_map(|message| message["id"].as_str().map(str::to_owned)));
        match page["next_cursor"].as_str() {
            Some(cursor) => before = format!("&before={cursor}"),
            None => return Ok(ids),
        }
    }
}

#[tokio::test]
async fn the_dashboard_dies_and_comes_back() -> Outcome {
    let _turn = fixture::turn().await;
    let mut call = Call::start().await?;
    call.watch().await?;
    call.stack.kill_dashboard().await;
    call.media_flow().await;
    call.stack.restart_dashboard().await?;
    call.newcomer_joins().await?;
    call.media_never_stopped().await?;
    Ok(())
}

#[tokio::test]
async fn redis_dies_and_comes_back() -> Outcome {
    let _turn = fixture::turn().await;
    let mut call = Call::start().await?;
    call.watch().await?;
    call.stack.kill_redis().await;
    call.media_flow().await;
    // Redis is a hint: without it rooms are still joined.
    call.newcomer_joins().await?;
    call.stack.restart_redis().await?;
    call.newcomer_joins().await?;
    call.media_never_stopped().await?;
    Ok(())
}

#[tokio::test]
async fn postgres_dies_and_comes_back_with_every_acknowledged_write() -> Outcome {
    let _turn = fixture::turn().await;
    let mut call = Call::start().await?;
    call.watch().await?;
    let done = tokio::sync::Notify::new();
    let (writer, room) = (call.owner.clone(), call.room.clone());
    let (acknowledged, outcome) = tokio::join!(write_until(&writer, &room, &done), async {
        // In the middle of the writing, not before it.
        wait::until("some messages are stored", JOIN_LIMIT, || async {
            match stored_messages(&writer, &room).await {
                Ok(ids) if ids.len() >= 3 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        call.stack.kill_postgres().await;
        call.media_flow().await;
        let outcome = async {
            call.stack.restart_postgres().await?;
            call.newcomer_joins().await
        };
        let outcome = outcome.await;
        done.notify_one();
        outcome
    });
    outcome?;
    let stored = stored_messages(&call.owner, &call.room).await?;
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !stored.contains(id)).collect();
    assert!(acknowledged.len() >= 3 && lost.is_empty(), "acknowledged {}, lost {lost:?}", acknowledged.len());
    call.media_never_stopped().await?;
    Ok(())
}

/// LiveKit's own client, with its own idea of when to try again.
#[tokio::test]
async fn the_sfu_dies_and_browsers_are_back_in_the_call() -> Outcome {
    let _turn = fixture::turn().await;
    let mut call = Call::start().await?;
    call.stack.sfu.kill().await?;
    call.alice.until("alice notices", "() => client.state()", |state| *state != json!("connected")).await;
    call.stack.sfu.restart().await?;
    let back = async {
        tokio::join!(
            call.alice.event("reconnected", |_| true),
            call.bob.event("reconnected", |_| true),
            call.media_flow(),
        )
    };
    let in_time = timeout(REJOIN_LIMIT, back).await;
    assert!(in_time.is_ok(), "not back in the call within {REJOIN_LIMIT:?}");
    for window in [&call.alice, &call.bob] {
        window.until("no ghosts", "() => client.people()", |people| entries(people).count() == 1).await;
    }
    // The room was made anew by whoever came first, with the limit its owner had set, and which she lifts now.
    assert_eq!(limit_of(&call).await?, LIMIT);
    limit(&call.owner, &call.room, Value::Null).await?;
    assert_eq!(limit_of(&call).await?, 0);
    call.newcomer_joins().await?;
    Ok(())
}

/// Sets how many the room takes.
async fn limit(owner: &Person, room: &str, max: Value) -> anyhow::Result<()> {
    let body = json!({ "max_participants": max });
    let (status, answer) = owner.send(Method::PATCH, &format!("/rooms/{room}"), Some(&body)).await?;
    anyhow::ensure!(status.is_success(), "{status}: {answer}");
    Ok(())
}

/// How many the live room takes, as the SFU says.
async fn limit_of(call: &Call) -> anyhow::Result<u64> {
    let sfu = &call.stack.sfu;
    let rooms = reqwest::Client::new()
        .post(format!("{}/twirp/livekit.RoomService/ListRooms", sfu.http_url()))
        .bearer_auth(sfu.admin_token(&call.room))
        .json(&json!({ "names": [call.room] }))
        .send()
        .await?
        .json::<Value>()
        .await?;
    rooms["rooms"][0]["max_participants"].as_u64().ok_or_else(|| anyhow!("no such room: {rooms}"))
}

async fn the_web_app_comes_back_after(outage: Duration) -> Outcome {
    let _turn = fixture::turn().await;
    let (mut stack, browser) = tokio::try_join!(Stack::start(), Browser::start())?;
    let window = async |name: &str| {
        let window = browser.window(name, WindowOptions::default()).await?;
        let app = WebApp::new(window, &stack.url);
        app.sign_up(name).await?;
        anyhow::Ok(app)
    };
    let (alice, bob) = tokio::try_join!(window("Alice"), window("Bob"))?;
    let room = alice.create_room("Under fire").await?;
    let link = alice.invite_link(&room).await?;
    alice.join(&format!("/room/{room}"), Mode::Single).await?;
    bob.join(&link, Mode::Single).await?;
    tokio::join!(alice.window.sees_and_hears([&bob]), bob.window.sees_and_hears([&alice]));

    stack.sfu.kill().await?;
    alice.window.see(&id("connection-banner")).await?;
    // The length of the outage is the fault itself, not a wait for something.
    tokio::time::sleep(outage).await;
    stack.sfu.restart().await?;
    let back =
        async { tokio::join!(alice.window.sees_and_hears([&bob]), bob.window.sees_and_hears([&alice])) };
    assert!(timeout(REJOIN_LIMIT, back).await.is_ok(), "not back in the call within {REJOIN_LIMIT:?}");
    alice.window.see_gone(&id("connection-banner")).await?;
    Ok(())
}

#[tokio::test]
async fn the_web_app_tells_of_the_outage_and_comes_back() -> Outcome {
    the_web_app_comes_back_after(Duration::ZERO).await
}

#[tokio::test]
async fn the_web_app_comes_back_after_a_long_outage() -> Outcome {
    the_web_app_comes_back_after(Duration::from_secs(20)).await
}

/// What the media server says to a token: the status of `/rtc/validate`, which is that of joining.
async fn told(stack: &Stack, token: &Value) -> anyhow::Result<u16> {
    let token = token.as_str().ok_or_else(|| anyhow!("no token"))?;
    let url = format!("{}/rtc/validate?access_token={token}", stack.sfu.http_url());
    Ok(reqwest::get(url).await?.status().as_u16())
}

async fn refused(stack: &Stack, token: &Value, what: &str) {
    wait::until(what, JOIN_LIMIT, || async {
        match told(stack, token).await {
            Ok(403) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn who_was_removed_stays_out_also_when_the_sfu_was_away_or_has_forgotten() -> Outcome {
    let _turn = fixture::turn().await;
    let mut stack = Stack::start().await?;
    let (alice, bob) = tokio::try_join!(async { stack.api().sign_up("Alice").await }, async {
        stack.api().sign_up("Bob").await
    })?;
    let room = alice.create_room("Behind closed doors").await?;
    alice.invite(&room, &bob).await?;
    let invite = alice.post(&format!("/rooms/{room}/invites"), json!({})).await?;
    let link = format!("/invites/{}/join", invite["token"].as_str().unwrap_or_default());
    let (_, guest) =
        stack.api().send(Method::POST, &link, None, Some(&json!({ "display_name": "Gus" }))).await?;
    let token = bob.join(&room).await?["token"].clone();
    assert_eq!((told(&stack, &token).await?, told(&stack, &guest["token"]).await?), (200, 200));

    alice.delete(&format!("/rooms/{room}/participants/{}", bob.id)).await?;
    assert_eq!(told(&stack, &token).await?, 403, "at once");
    assert_eq!(told(&stack, &guest["token"]).await?, 200, "others may come");
    let (status, _) = bob.send(Method::POST, &format!("/rooms/{room}/token"), Some(&json!({}))).await?;
    assert_eq!(status, 403, "and gets no other");

    stack.sfu.kill().await?;
    let identity = guest["identity"].as_str().unwrap_or_default();
    alice.delete(&format!("/rooms/{room}/participants/{identity}")).await?;
    stack.sfu.restart().await?;
    refused(&stack, &token, "the restarted media server is told who was removed before").await;
    refused(&stack, &guest["token"], "and who was removed while it was away").await;

    alice.delete(&format!("/rooms/{room}/removed/{}", bob.id)).await?;
    assert_eq!(told(&stack, &token).await?, 200, "let back in");
    assert_eq!(told(&stack, &guest["token"]).await?, 403, "not everybody");
    bob.join(&room).await?;
    Ok(())
}
