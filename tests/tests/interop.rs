//! Clients nobody here wrote, in one room with the browser: LiveKit's Python client and its server SDK for Node.

use auralink_tests::{
    Browser, Outcome, PythonParticipant, ServerSdk, Sfu, SfuOptions, Window, entries, fixture,
};
use serde_json::{Value, json};

async fn browser_joins(browser: &Browser, sfu: &Sfu, identity: &str, room: &str) -> anyhow::Result<Window> {
    let window = browser.protocol_page(identity).await?;
    let token = sfu.join_token(identity, room);
    window.join(json!({ "url": sfu.url, "token": token })).await?;
    Ok(window)
}

async fn python_meets_the_browser(room: &str, single: bool) -> Outcome {
    let _turn = fixture::turn().await;
    let (sfu, browser) = tokio::try_join!(Sfu::start(SfuOptions::default()), Browser::start())?;
    let alice = browser_joins(&browser, &sfu, "alice", room).await?;
    let python = PythonParticipant::join(&sfu.url, &sfu.join_token("python", room), single).await?;
    python.publish().await?;

    tokio::join!(alice.sees_and_hears([&python]), python.sees_and_hears([&alice]));

    alice.client("data", json!({ "text": "from the browser", "topic": "t" })).await?;
    python.event("data", |event| event["text"] == "from the browser" && event["from"] == "alice").await;
    python.call("data", json!({ "text": "from python", "topic": "t" })).await?;
    alice.event("data", |event| event["text"] == "from python" && event["from"] == "python").await;

    alice.client("text", json!("a text stream")).await?;
    python.event("text", |event| event["text"] == "a text stream").await;
    python.call("text", json!({ "text": "another" })).await?;
    alice.event("text_stream", |event| event["text"] == "another" && event["from"] == "python").await;

    let answer = alice.client("rpc", json!({ "to": "python", "payload": "ping" })).await?;
    assert_eq!(answer, "alice: ping");
    let answer = python.call("rpc", json!({ "to": "alice", "payload": "ping" })).await?;
    assert_eq!(answer, "python: ping");

    python.call("leave", json!({})).await?;
    alice.event("left", |event| event["from"] == "python").await;
    Ok(())
}

#[tokio::test]
async fn python_meets_the_browser_on_one_connection() -> Outcome {
    python_meets_the_browser("python-single", true).await
}

#[tokio::test]
async fn python_meets_the_browser_on_two_connections() -> Outcome {
    python_meets_the_browser("python-dual", false).await
}

#[tokio::test]
async fn the_server_sdk_creates_lists_changes_and_deletes_rooms() -> Outcome {
    let sfu = Sfu::start(SfuOptions::default()).await?;
    let sdk = ServerSdk::start(&sfu).await?;

    let options =
        json!({ "name": "sdk-rooms", "emptyTimeout": 60, "maxParticipants": 5, "metadata": "first" });
    let created = sdk.rooms("createRoom", json!([options])).await?;
    assert_eq!(created["name"], "sdk-rooms");
    assert_eq!(created["emptyTimeout"], 60);
    assert_eq!(created["maxParticipants"], 5);
    assert_eq!(created["metadata"], "first");
    assert!(created["sid"].as_str().is_some_and(|sid| sid.starts_with("RM_")), "{created}");

    // Creating again is changing: the room stays the same, fields that are given are taken.
    let again = sdk.rooms("createRoom", json!([{ "name": "sdk-rooms", "metadata": "second" }])).await?;
    assert_eq!(again["sid"], created["sid"]);
    assert_eq!(again["metadata"], "second");
    assert_eq!(again["maxParticipants"], 5);

    let listed = sdk.rooms("listRooms", json!([["sdk-rooms", "no-such-room"]])).await?;
    assert_eq!(entries(&listed).map(|room| &room["name"]).collect::<Vec<_>>(), ["sdk-rooms"]);
    let all = sdk.rooms("listRooms", json!([])).await?;
    assert!(entries(&all).any(|room| room["sid"] == created["sid"]), "{all}");

    let changed = sdk.rooms("updateRoomMetadata", json!(["sdk-rooms", "third"])).await?;
    assert_eq!(changed["metadata"], "third");
    assert_eq!(sdk.rooms("listParticipants", json!(["sdk-rooms"])).await?, json!([]));

    sdk.rooms("deleteRoom", json!(["sdk-rooms"])).await?;
    let left = sdk.rooms("listRooms", json!([["sdk-rooms"]])).await?;
    assert_eq!(left, json!([]));
    Ok(())
}

#[tokio::test]
async fn the_server_sdk_moderates_people_in_a_browser() -> Outcome {
    const PARTICIPANT_REMOVED: u64 = 4;
    const ROOM_DELETED: u64 = 5;
    const ROOM: &str = "sdk-people";
    let _turn = fixture::turn().await;
    let (sfu, browser) = tokio::try_join!(Sfu::start(SfuOptions::default()), Browser::start())?;
    let sdk = ServerSdk::start(&sfu).await?;
    let (alice, bob) = tokio::try_join!(
        browser_joins(&browser, &sfu, "alice", ROOM),
        browser_joins(&browser, &sfu, "bob", ROOM)
    )?;
    tokio::join!(alice.sees_and_hears([&bob]), bob.sees_and_hears([&alice]));

    let people = sdk.rooms("listParticipants", json!([ROOM])).await?;
    let mut identities: Vec<&str> =
        entries(&people).filter_map(|person| person["identity"].as_str()).collect();
    identities.sort_unstable();
    assert_eq!(identities, ["alice", "bob"]);

    let person = sdk.rooms("getParticipant", json!([ROOM, "alice"])).await?;
    assert_eq!(person["name"], "alice");
    let microphone = entries(&person["tracks"]).find(|track| track["source"] == "MICROPHONE");
    let sid = microphone.map(|track| track["sid"].clone()).unwrap_or_default();
    assert!(sid.as_str().is_some_and(|sid| sid.starts_with("TR_")), "{person}");

    sdk.rooms("mutePublishedTrack", json!([ROOM, "alice", sid, true])).await?;
    bob.event("muted", |event| event["from"] == "alice" && event["source"] == "microphone").await;
    alice
        .until("alice knows she is muted", "() => client.tracks()", |tracks| {
            entries(tracks).any(|track| track["source"] == "microphone" && track["muted"] == true)
        })
        .await;
    let refused = sdk.refused("mutePublishedTrack", json!([ROOM, "alice", sid, false])).await?;
    assert_eq!(refused["code"], "failed_precondition", "remote unmute is off by default: {refused}");

    let update =
        json!([ROOM, "alice", { "metadata": "host", "name": "Alice A.", "attributes": { "hand": "up" } }]);
    sdk.rooms("updateParticipant", update).await?;
    bob.event("metadata", |event| event["from"] == "alice" && event["metadata"] == "host").await;
    bob.event("attributes", |event| event["changed"]["hand"] == "up").await;
    bob.until("the new name", "() => client.people()", |people| {
        entries(people).any(|person| person["name"] == "Alice A." && person["attributes"]["hand"] == "up")
    })
    .await;

    let silent = json!([ROOM, "bob", { "permission": { "canSubscribe": true, "canPublish": false } }]);
    sdk.rooms("updateParticipant", silent).await?;
    alice
        .until("bob publishes nothing", "() => client.people()", |people| {
            entries(people).all(|person| entries(&person["tracks"]).count() == 0)
        })
        .await;

    sdk.rooms("updateRoomMetadata", json!([ROOM, "agenda"])).await?;
    alice.event("room_metadata", |event| event["metadata"] == "agenda").await;

    sdk.send_data(json!({ "room": ROOM, "text": "to all", "topic": "news" })).await?;
    for window in [&alice, &bob] {
        window.event("data", |event| event["text"] == "to all" && event["from"] == Value::Null).await;
    }
    let to_bob = json!({ "room": ROOM, "text": "only bob", "destinationIdentities": ["bob"] });
    sdk.send_data(to_bob).await?;
    bob.event("data", |event| event["text"] == "only bob").await;
    let seen = alice.evaluate("() => client.events", Value::Null).await?;
    assert!(!entries(&seen).any(|event| event["text"] == "only bob"), "{seen}");

    sdk.rooms("removeParticipant", json!([ROOM, "bob"])).await?;
    bob.event("disconnected", |event| event["reason"] == PARTICIPANT_REMOVED).await;
    alice.event("left", |event| event["from"] == "bob").await;

    sdk.rooms("deleteRoom", json!([ROOM])).await?;
    alice.event("disconnected", |event| event["reason"] == ROOM_DELETED).await;
    Ok(())
}

#[tokio::test]
async fn the_server_sdk_is_refused_with_the_documented_errors() -> Outcome {
    let sfu = Sfu::start(SfuOptions::default()).await?;
    let sdk = ServerSdk::start(&sfu).await?;
    sdk.rooms("createRoom", json!([{ "name": "sdk-errors" }])).await?;

    for (method, args) in [
        ("getParticipant", json!(["sdk-errors", "nobody"])),
        ("removeParticipant", json!(["sdk-errors", "nobody"])),
        ("mutePublishedTrack", json!(["sdk-errors", "nobody", "TR_none", true])),
        ("updateParticipant", json!(["sdk-errors", "nobody", { "metadata": "x" }])),
        ("updateRoomMetadata", json!(["no-such-room", "x"])),
    ] {
        let refused = sdk.refused(method, args).await?;
        assert_eq!(refused["code"], "not_found", "{method}: {refused}");
        assert_eq!(refused["status"], 404, "{method}: {refused}");
    }

    let long = "x".repeat(300);
    let refused = sdk.refused("createRoom", json!([{ "name": long }])).await?;
    assert_eq!(refused["code"], "invalid_argument", "{refused}");

    for (method, args) in [
        ("createRoom", json!([{ "name": "forged" }])),
        ("listRooms", json!([])),
        ("deleteRoom", json!(["sdk-errors"])),
    ] {
        let refused = sdk.refused_forged(method, args).await?;
        assert_eq!(refused["status"], 401, "{method}: {refused}");
    }
    let listed = sdk.rooms("listRooms", json!([["sdk-errors", "forged"]])).await?;
    assert_eq!(entries(&listed).count(), 1, "the forged calls had an effect: {listed}");
    Ok(())
}

#[tokio::test]
async fn a_token_of_the_server_sdk_opens_the_room_with_its_rights_only() -> Outcome {
    const ROOM: &str = "sdk-token";
    let _turn = fixture::turn().await;
    let (sfu, browser) = tokio::try_join!(Sfu::start(SfuOptions::default()), Browser::start())?;
    let sdk = ServerSdk::start(&sfu).await?;
    let grant = json!({ "roomJoin": true, "room": ROOM, "canPublish": false, "canPublishData": true });
    let token = json!({
        "identity": "listener",
        "name": "Listener",
        "metadata": "quiet",
        "attributes": { "seat": "12" },
        "grant": grant,
    });
    let token = sdk.token(token).await?;
    let alice = browser_joins(&browser, &sfu, "alice", ROOM).await?;
    let listener = browser.protocol_page("listener").await?;
    listener.join(json!({ "url": sfu.url, "token": token, "publish": false })).await?;
    listener.sees_and_hears([&alice]).await;
    alice
        .until("who the token says", "() => client.people()", |people| {
            entries(people).any(|person| {
                person["identity"] == "listener"
                    && person["name"] == "Listener"
                    && person["metadata"] == "quiet"
                    && person["attributes"]["seat"] == "12"
            })
        })
        .await;
    let refused = listener.client("microphone", json!(true)).await;
    assert!(refused.is_err(), "published without the right to");
    listener.client("data", json!({ "text": "a question" })).await?;
    alice.event("data", |event| event["text"] == "a question" && event["from"] == "listener").await;
    Ok(())
}
