//! Being sent away for good: a token from before opens nothing, whichever it is, until the refusal is taken back.

use aura_proto::sfu::v1 as pb;
use aura_proto::sfu::v1::room_control_client::RoomControlClient;
use aura_testkit::tokens;
use livekit_protocol as proto;
use proto::signal_response::Message as Response;
use serde_json::json;
use tokio_tungstenite::tungstenite;
use tonic::metadata::MetadataValue;

use crate::harness::{Client, KEY, SECRET, SERVICE_SECRET, Sfu, api_token, join_token};

async fn control(sfu: &Sfu) -> RoomControlClient<tonic::transport::Channel> {
    let endpoint = tonic::transport::Endpoint::new(format!("http://{}", sfu.grpc)).unwrap();
    RoomControlClient::new(endpoint.connect().await.unwrap())
}

fn as_dashboard<T>(message: T) -> tonic::Request<T> {
    let mut call = tonic::Request::new(message);
    let token = tokens::service(SERVICE_SECRET, "dashboard", 60);
    let bearer: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    call.metadata_mut().insert("authorization", bearer);
    call
}

/// A token for the hall, issued so many seconds from now.
fn issued_in(seconds: i64, identity: &str) -> String {
    let claims = json!({
        "sub": identity, "nbf": tokens::now_s() + seconds, "video": { "roomJoin": true, "room": "hall" },
    });
    tokens::livekit(KEY, SECRET, claims)
}

/// The status and text a token is refused with; `None` when it opens the room.
async fn refusal(sfu: &Sfu, token: &str) -> Option<(u16, String)> {
    let reply = reqwest::get(sfu.url(&format!("/rtc/validate?access_token={token}"))).await.unwrap();
    let (status, text) = (reply.status().as_u16(), reply.text().await.unwrap());
    let upgrade = sfu.connect(token).await;
    match upgrade {
        Ok(_) => {
            assert_eq!((status, text.as_str()), (200, "success"), "both ways say the same");
            None
        }
        Err(tungstenite::Error::Http(reply)) => {
            assert_eq!(reply.status().as_u16(), status, "both ways say the same");
            Some((status, text))
        }
        Err(error) => panic!("{error}"),
    }
}

async fn leave_reason(client: &mut Client) -> i32 {
    client
        .until(|message| match message {
            Response::Leave(leave) => Some(leave.reason),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn an_identity_sent_away_stays_away_until_it_is_let_back() {
    let sfu = Sfu::start().await;
    let mut control = control(&sfu).await;
    let (_alice, _) = sfu.join("hall", "alice").await;
    let token = join_token("hall", "eve");
    let mut eve = sfu.connect(&token).await.unwrap();
    let refreshed = eve
        .until(|message| match message {
            Response::RefreshToken(token) => Some(token),
            _ => None,
        })
        .await;
    let url = format!("ws://{}/rtc?access_token={token}&protocol=16&publish=screen", sfu.http);
    let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut second = Client { socket };
    second.until(|message| matches!(message, Response::Join(_)).then_some(())).await;

    let refuse = |identity: &str| pb::RefuseParticipantsRequest {
        room: "hall".into(),
        identities: vec![identity.into(), "never-came".into()],
        issued_until_s: 0,
    };
    control.refuse_participants(as_dashboard(refuse("eve"))).await.unwrap();
    let removed = proto::DisconnectReason::ParticipantRemoved as i32;
    assert_eq!(leave_reason(&mut eve).await, removed);
    assert_eq!(leave_reason(&mut second).await, removed, "her second connection too");

    let refused = Some((403, "you were removed from the room".to_owned()));
    for (what, token) in [
        ("the one she came with", &token),
        ("the one the server renewed", &refreshed),
        ("one nobody used", &issued_in(-30, "eve")),
        ("somebody else's who is refused", &join_token("hall", "never-came")),
    ] {
        assert_eq!(refusal(&sfu, token).await, refused, "{what}");
    }
    assert_eq!(refusal(&sfu, &join_token("hall", "bob")).await, None, "others come and go");
    assert_eq!(refusal(&sfu, &join_token("lobby", "eve")).await, None, "as she does in other rooms");
    assert_eq!(refusal(&sfu, &issued_in(30, "eve")).await, None, "whoever signs her a new one lets her in");

    let delete = pb::DeleteRoomRequest { room: "hall".into() };
    control.delete_room(as_dashboard(delete)).await.unwrap();
    assert_eq!(refusal(&sfu, &token).await, refused, "the room's end does not end it");

    let eve = pb::ParticipantRef { room: "hall".into(), identity: "eve".into() };
    control.admit_participant(as_dashboard(eve)).await.unwrap();
    assert_eq!(refusal(&sfu, &token).await, None);
    let nameless = control.refuse_participants(as_dashboard(refuse(""))).await.unwrap_err();
    assert_eq!(nameless.code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn whoever_has_only_a_second_connection_is_sent_away_by_its_name() {
    let sfu = Sfu::start().await;
    let mut control = control(&sfu).await;
    let token = join_token("hall", "eve");
    let url = format!("ws://{}/rtc?access_token={token}&protocol=16&publish=screen", sfu.http);
    let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut eve = Client { socket };
    eve.until(|message| matches!(message, Response::Join(_)).then_some(())).await;
    let refuse = pb::RefuseParticipantsRequest {
        room: "hall".into(),
        identities: vec!["eve#screen".into()],
        issued_until_s: 0,
    };
    control.refuse_participants(as_dashboard(refuse)).await.unwrap();
    assert_eq!(leave_reason(&mut eve).await, proto::DisconnectReason::ParticipantRemoved as i32);
    assert_eq!(refusal(&sfu, &token).await, Some((403, "you were removed from the room".to_owned())));
}

#[tokio::test]
async fn livekits_remove_leaves_the_token_alone_unless_it_is_to_be_revoked() {
    let sfu = Sfu::start().await;
    let admin = api_token(json!({ "roomAdmin": true, "room": "hall" }));
    let token = issued_in(-30, "eve");
    let mut eve = sfu.connect(&token).await.unwrap();
    eve.until(|message| matches!(message, Response::Join(_)).then_some(())).await;
    let body = json!({ "room": "hall", "identity": "eve" });
    let (status, _) = sfu.twirp("RemoveParticipant", &admin, body.clone()).await;
    assert_eq!(status, 200);
    leave_reason(&mut eve).await;
    assert_eq!(refusal(&sfu, &token).await, None, "as at LiveKit");

    let mut eve = sfu.connect(&token).await.unwrap();
    eve.until(|message| matches!(message, Response::Join(_)).then_some(())).await;
    let mut revoking = body;
    revoking["revoke_token_ts"] = json!(tokens::now_s().to_string());
    let (status, reply) = sfu.twirp("RemoveParticipant", &admin, revoking.clone()).await;
    assert_eq!(status, 200, "{reply}");
    leave_reason(&mut eve).await;
    assert_eq!(refusal(&sfu, &token).await.map(|(status, _)| status), Some(403));
    assert_eq!(refusal(&sfu, &issued_in(5, "eve")).await, None);
    revoking["identity"] = json!("not-here");
    assert_eq!(
        sfu.twirp("RemoveParticipant", &admin, revoking).await.0,
        200,
        "who is not here is refused too"
    );
    assert_eq!(refusal(&sfu, &issued_in(-30, "not-here")).await.map(|(status, _)| status), Some(403));
}
