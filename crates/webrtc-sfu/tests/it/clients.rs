//! What stock clients expect of signalling: settings, limits, refusals, devices.

use aura_testkit::tokens::livekit;
use livekit_protocol as proto;
use prost::Message as _;
use proto::request_response::Reason;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use serde_json::json;

use crate::harness::{Client, KEY, SECRET, Sfu, api_token, join_token, request_response};

async fn joined(client: &mut Client) -> proto::JoinResponse {
    match client.next().await {
        Some(Response::Join(join)) => join,
        other => panic!("joined, not {other:?}"),
    }
}

fn join_request(request: &proto::JoinRequest) -> String {
    use base64::Engine as _;
    let wrapped = proto::WrappedJoinRequest { join_request: request.encode_to_vec(), ..Default::default() };
    base64::engine::general_purpose::URL_SAFE.encode(wrapped.encode_to_vec())
}

#[tokio::test]
async fn who_asks_for_every_data_track_gets_it() {
    let sfu = Sfu::start().await;
    let (mut alice, _) = sfu.join("hall", "alice").await;
    let token = join_token("hall", "bob");
    let mut bob = sfu.open(&format!("/rtc?access_token={token}&auto_subscribe_data_track=1")).await.unwrap();
    joined(&mut bob).await;
    let publish =
        proto::PublishDataTrackRequest { pub_handle: 7, name: "scene".into(), ..Default::default() };
    alice.send(Request::PublishDataTrackRequest(publish)).await;
    let request = proto::JoinRequest {
        connection_settings: Some(proto::ConnectionSettings {
            auto_subscribe_data_track: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    };
    let handle = |message| match message {
        Response::DataTrackSubscriberHandles(handles) => handles.sub_handles.into_values().next(),
        _ => None,
    };
    let track = bob.until(handle).await;
    assert_eq!(track.publisher_identity, "alice");
    // Known to have been published: those who come later find it.
    let (token, request) = (join_token("hall", "carol"), join_request(&request));
    let mut carol = sfu.open(&format!("/rtc/v1?access_token={token}&join_request={request}")).await.unwrap();
    assert_eq!(carol.until(handle).await, track);
}

/// An update whose metadata has this many bytes.
fn long_message(bytes: usize) -> Request {
    let metadata = "x".repeat(bytes);
    Request::UpdateMetadata(proto::UpdateParticipantMetadata {
        metadata,
        request_id: 9,
        ..Default::default()
    })
}

#[tokio::test]
async fn signalling_messages_have_a_limit_that_is_set() {
    let default: &[(&str, &str)] = &[];
    for (config, fits, too_long) in [
        (default, 2_000_000, Some(2_100_000)),
        (&[("AURA_SFU__LIMIT__SIGNAL_MESSAGE_SIZE", "4096")], 4_000, Some(4_200)),
        (&[("AURA_SFU__LIMIT__SIGNAL_MESSAGE_SIZE", "0")], 5_000_000, None),
    ] {
        let sfu = Sfu::with(config).await;
        let (mut client, _) = sfu.join("hall", "alice").await;
        client.send(long_message(fits)).await;
        assert_eq!(request_response(&mut client).await.reason(), Reason::NotAllowed, "{config:?}");
        if let Some(bytes) = too_long {
            client.try_send(long_message(bytes)).await;
            assert_eq!(client.close_code().await, Some(1009), "{config:?}");
        }
    }
}

#[tokio::test]
async fn a_client_may_come_back_by_its_identity_alone() {
    let sfu = Sfu::start().await;
    let (mut alice, join) = sfu.join("hall", "alice").await;
    let sid = join.participant.unwrap().sid;
    let resume = |identity: &str, more: &str| {
        let token = join_token("hall", identity);
        let url = format!("/rtc?access_token={token}&reconnect=1{more}");
        let sfu = &sfu;
        async move { sfu.open(&url).await.unwrap() }
    };
    let mut again = resume("alice", "").await;
    assert!(matches!(again.next().await, Some(Response::Reconnect(_))));
    let Some(Response::Update(update)) = again.next().await else { panic!("everyone") };
    assert_eq!(update.participants[0].sid, sid, "the same participant");
    alice.close_code().await;
    // In one connection alike.
    let request = proto::JoinRequest { reconnect: true, ..Default::default() };
    let url = format!(
        "/rtc/v1?access_token={}&join_request={}",
        join_token("hall", "alice"),
        join_request(&request)
    );
    let mut again = sfu.open(&url).await.unwrap();
    assert!(matches!(again.next().await, Some(Response::Reconnect(_))));
    for (identity, more) in [("stranger", ""), ("alice", "&sid=PA_somebody")] {
        let mut refused = resume(identity, more).await;
        let Some(Response::Leave(leave)) = refused.next().await else { panic!("refused") };
        assert_eq!(leave.reason(), proto::DisconnectReason::StateMismatch, "{identity}{more}");
        assert_eq!(leave.action(), proto::leave_request::Action::Reconnect);
    }
}

#[tokio::test]
async fn a_second_connection_to_publish_needs_the_right_to() {
    let sfu = Sfu::start().await;
    let video = json!({ "roomJoin": true, "room": "hall", "canPublish": false });
    let token = livekit(KEY, SECRET, json!({ "sub": "alice", "video": video }));
    let url = sfu.url(&format!("/rtc/validate?access_token={token}&publish=screen"));
    assert_eq!(reqwest::get(url).await.unwrap().status().as_u16(), 401);
}

#[tokio::test]
async fn refusals_say_why() {
    let sfu = Sfu::start().await;
    let (mut alice, _) = sfu.join("hall", "alice").await;
    let update = proto::UpdateParticipantMetadata { name: "A".into(), request_id: 3, ..Default::default() };
    alice.send(Request::UpdateMetadata(update.clone())).await;
    let answer = request_response(&mut alice).await;
    assert_eq!((answer.request_id, answer.reason()), (3, Reason::NotAllowed));
    assert_eq!(answer.message, "does not have permission to update own metadata");
    assert_eq!(answer.request, Some(proto::request_response::Request::UpdateMetadata(update)));

    let store = proto::StoreDataBlobRequest { request_id: 4, ..Default::default() };
    alice.send(Request::StoreDataBlobRequest(store)).await;
    let get = proto::GetDataBlobRequest { request_id: 5, ..Default::default() };
    alice.send(Request::GetDataBlobRequest(get)).await;
    for request_id in [4, 5] {
        let answer = request_response(&mut alice).await;
        assert_eq!((answer.request_id, answer.reason()), (request_id, Reason::NotAllowed));
        assert_eq!(answer.message, "data blob not enabled");
    }
}

#[tokio::test]
async fn a_browser_is_known_by_its_user_agent() {
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36";
    let sfu = Sfu::start().await;
    for (agent, withheld) in [(FIREFOX, &["video/H264"][..]), (CHROME, &[])] {
        let url = format!("/rtc?access_token={}&sdk=js&protocol=16", join_token("hall", "alice"));
        let mut client = sfu.open_with(&url, &[("user-agent", agent)]).await.unwrap();
        let join = joined(&mut client).await;
        let disabled = join.client_configuration.unwrap().disabled_codecs.unwrap_or_default();
        let mimes: Vec<_> = disabled.publish.iter().map(|codec| codec.mime.as_str()).collect();
        assert_eq!(mimes, withheld);
        let published = join.enabled_publish_codecs.iter().any(|codec| codec.mime == "video/H264");
        assert_eq!(published, withheld.is_empty());
    }
}

#[tokio::test]
async fn a_recorder_is_no_participant_of_a_room() {
    let sfu = Sfu::start().await;
    let create = api_token(json!({ "roomCreate": true, "roomList": true }));
    sfu.twirp("CreateRoom", &create, json!({ "name": "hall", "max_participants": 1 })).await;
    let video = json!({ "roomJoin": true, "room": "hall", "recorder": true, "hidden": true });
    let token = livekit(KEY, SECRET, json!({ "sub": "recorder", "video": video }));
    let mut recorder = sfu.connect(&token).await.unwrap();
    joined(&mut recorder).await;
    let (_alice, join) = sfu.join("hall", "alice").await;
    let room = join.room.unwrap();
    assert_eq!((room.num_participants, room.active_recording), (1, true));
    let (_, list) = sfu.twirp("ListRooms", &create, json!({})).await;
    assert_eq!(list["rooms"][0]["num_participants"], 1);
    let mut bob = sfu.connect(&join_token("hall", "bob")).await.unwrap();
    assert!(matches!(bob.next().await, Some(Response::Leave(_))), "full of one");
}
