//! Being sent away from a live room and let back in, at a real SFU: in whatever order word of it arrives there.

use crate::calls::Bus;
use crate::relay::Relay;
use crate::sfu_service::SfuService;
use crate::stack::{Options, Stack, migrated};
use aura_store::bus::Event;
use aura_testkit::{Postgres, RedisServer, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(15);

/// A dashboard that speaks to the SFU through a relay.
async fn behind(relay: &Relay, options: Options) -> Stack {
    let url = format!("http://127.0.0.1:{}", relay.port);
    Stack::with(options.set("AURA_DASHBOARD__SFU__GRPC_URL", url)).await
}

async fn refusals(sfu: &SfuService) -> f64 {
    let text = sfu.metrics().await;
    let counts = text.lines().filter(|line| {
        line.starts_with("rpc_server_call_duration_seconds_count{") && line.contains("RefuseParticipants")
    });
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// A guest's way into a room of Alice's: the token and the identity.
async fn guest(stack: &Stack, invite: &str) -> (Value, String) {
    let body = json!({"display_name": "Gus"});
    let join = stack.anonymous().post(&format!("/invites/{invite}/join"), body).await.expect(200);
    (join["token"].clone(), join["identity"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_let_back_in_stays_in_however_late_a_removal_is_told() {
    let sfu = SfuService::start().await;
    let relay = Relay::to(sfu.grpc).await;
    let database = migrated(Postgres::shared()).await;
    let redis = RedisServer::start();
    let on = |redis_url: &str| Options {
        database: Some(database.clone()),
        redis_url: redis_url.to_owned(),
        ..Options::default()
    };
    // Two instances; one of them hears from the bus that somebody came in.
    let _slow = behind(&relay, on(redis.url())).await;
    let other = sfu.stack_with(on(RedisServer::shared().url())).await;
    let alice = other.person("Alice").await;
    let room = alice.room().await;
    let (token, identity) = guest(&other, &alice.invite(&room).await).await;
    alice.delete(&format!("/rooms/{room}/participants/{identity}")).await.expect(204);
    assert!(sfu.try_enter(&token).await.is_none(), "removed is out");

    relay.hold();
    let bus = Bus::new(redis.url());
    let who = json!({"sid": "PA_1", "identity": identity, "name": "Gus", "kind": "standard"});
    let data = json!({"room_sid": "RM_x", "room_name": room, "participant": who});
    bus.publish(Event::new("room:participant_joined", Some(room.clone()), data));
    relay.holds(&identity).await;
    alice.delete(&format!("/rooms/{room}/removed/{identity}")).await.expect(204);
    let told = refusals(&sfu).await;
    relay.pass();
    eventually(SOON, || async { refusals(&sfu).await > told }).await;
    eventually(SOON, || async { sfu.try_enter(&token).await.is_some() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letting_somebody_back_in_is_told_once_the_sfu_can_be_reached() {
    let sfu = SfuService::start().await;
    let relay = Relay::to(sfu.grpc).await;
    let stack = behind(&relay, Options::default()).await;
    let alice = stack.person("Alice").await;
    let room = alice.room().await;
    let (token, identity) = guest(&stack, &alice.invite(&room).await).await;
    alice.delete(&format!("/rooms/{room}/participants/{identity}")).await.expect(204);
    assert!(sfu.try_enter(&token).await.is_none());
    relay.cut();
    alice.delete(&format!("/rooms/{room}/removed/{identity}")).await.expect(204);
    assert!(sfu.try_enter(&token).await.is_none(), "nobody has told it yet");
    relay.pass();
    eventually(SOON, || async { sfu.try_enter(&token).await.is_some() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_somebody_holds_no_connection_while_the_sfu_thinks() {
    let sfu = SfuService::start().await;
    let relay = Relay::to(sfu.grpc).await;
    let stack = behind(&relay, Options::default().set("AURA_DASHBOARD__DATABASE__MAX_CONNECTIONS", 1)).await;
    let alice = stack.person("Alice").await;
    let room = alice.room().await;
    relay.hold();
    let removal = async {
        let robot = format!("/rooms/{room}/participants/robot");
        // On a slow machine the SFU is given up on: that is not what matters here.
        let status = alice.delete(&robot).await.status.as_u16();
        assert!([404, 503].contains(&status), "{status}");
    };
    let meanwhile = async {
        relay.holds(&room).await;
        alice.get("/auth/me").await.expect(200);
        relay.pass();
    };
    tokio::join!(removal, meanwhile);
}
