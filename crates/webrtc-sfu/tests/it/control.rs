//! What other services rely on: gRPC, events, health, and how the node goes away.

use std::time::Duration;

use aura_proto::sfu::v1 as pb;
use aura_proto::sfu::v1::room_control_client::RoomControlClient;
use aura_service::auth::service::ServiceKeys;
use aura_service::config::Secret;
use aura_service::grpc::{Client, Tls};
use aura_store::bus::{BusItem, Subscriber};
use aura_testkit::{RedisServer, Scratch, tokens};
use aura_types::SystemClock;
use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use serde_json::json;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request as Call};

use crate::harness::{PATIENCE, SERVICE_SECRET, Sfu};
use crate::tokens::{claims_of, refreshed};

async fn client(sfu: &Sfu) -> RoomControlClient<tonic::transport::Channel> {
    let endpoint = tonic::transport::Endpoint::new(format!("http://{}", sfu.grpc)).unwrap();
    RoomControlClient::new(endpoint.connect().await.unwrap())
}

fn with_token<T>(message: T, token: &str) -> Call<T> {
    let mut call = Call::new(message);
    let bearer: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    call.metadata_mut().insert("authorization", bearer);
    call
}

fn as_dashboard<T>(message: T) -> Call<T> {
    with_token(message, &tokens::service(SERVICE_SECRET, "dashboard", 60))
}

#[tokio::test]
async fn services_with_a_token_and_a_permit_may_call_and_nobody_else() {
    let sfu = Sfu::start().await;
    let mut client = client(&sfu).await;
    let list = pb::ListRoomsRequest::default();
    for (who, token) in [
        ("forged", tokens::service("not-the-secret-but-long-enough-to-be-one", "dashboard", 60)),
        ("too long-lived", tokens::service(SERVICE_SECRET, "dashboard", 3_600)),
        ("expired", tokens::service(SERVICE_SECRET, "dashboard", -60)),
    ] {
        let refused = client.list_rooms(with_token(list.clone(), &token)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{who}");
    }
    assert_eq!(client.list_rooms(Call::new(list.clone())).await.unwrap_err().code(), Code::Unauthenticated);
    let stranger = tokens::service(SERVICE_SECRET, "stranger", 60);
    let refused = client.list_rooms(with_token(list.clone(), &stranger)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(client.list_rooms(as_dashboard(list)).await.is_ok());
}

#[tokio::test]
async fn rooms_and_people_are_driven_over_grpc() {
    let sfu = Sfu::start().await;
    let mut control = client(&sfu).await;
    let create = pb::CreateRoomRequest {
        name: "hall".into(),
        metadata: "m".into(),
        max_participants: 5,
        ..Default::default()
    };
    let room = control.create_room(as_dashboard(create)).await.unwrap().into_inner();
    assert_eq!((room.metadata.as_str(), room.max_participants), ("m", 5));
    let (mut alice, _) = sfu.join("hall", "alice").await;
    let add = proto::AddTrackRequest { cid: "mic".into(), ..Default::default() };
    alice.send(Request::AddTrack(add)).await;
    alice.until(|message| matches!(message, Response::TrackPublished(_)).then_some(())).await;

    let list = pb::ListParticipantsRequest { room: "hall".into() };
    let everyone = control.list_participants(as_dashboard(list)).await.unwrap().into_inner().participants;
    assert_eq!(everyone.iter().map(|p| p.identity.as_str()).collect::<Vec<_>>(), ["alice"]);
    let many = pb::ListOccupantsRequest { rooms: vec!["nowhere".into(), "hall".into()] };
    let rooms = control.list_occupants(as_dashboard(many)).await.unwrap().into_inner().rooms;
    assert_eq!(rooms.iter().map(|room| room.room.as_str()).collect::<Vec<_>>(), ["hall"]);
    assert_eq!(rooms[0].participants, everyone);
    let too_many = pb::ListOccupantsRequest { rooms: vec!["hall".into(); 1_001] };
    let refused = control.list_occupants(as_dashboard(too_many)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);

    let change = pb::UpdateParticipantRequest {
        room: "hall".into(),
        identity: "alice".into(),
        name: Some("Alice A.".into()),
        attributes: [("role".to_owned(), "host".to_owned())].into(),
        ..Default::default()
    };
    let changed = control.update_participant(as_dashboard(change)).await.unwrap().into_inner();
    assert_eq!((changed.name.as_str(), changed.attributes["role"].as_str()), ("Alice A.", "host"));
    alice
        .until(|message| match message {
            Response::Update(update) => {
                update.participants.iter().any(|p| p.name == "Alice A.").then_some(())
            }
            _ => None,
        })
        .await;

    let remove = pb::ParticipantRef { room: "hall".into(), identity: "alice".into() };
    control.remove_participant(as_dashboard(remove.clone())).await.unwrap();
    let reason = alice
        .until(|message| match message {
            Response::Leave(leave) => Some(leave.reason),
            _ => None,
        })
        .await;
    assert_eq!(reason, proto::DisconnectReason::ParticipantRemoved as i32);
    assert_eq!(control.remove_participant(as_dashboard(remove)).await.unwrap_err().code(), Code::NotFound);
    let delete = pb::DeleteRoomRequest { room: "hall".into() };
    control.delete_room(as_dashboard(delete.clone())).await.unwrap();
    assert_eq!(control.delete_room(as_dashboard(delete)).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_live_room_is_made_what_its_owner_says_and_limits_can_be_lifted() {
    let sfu = Sfu::start().await;
    let mut control = client(&sfu).await;
    let configure = |max_participants, metadata: Option<&str>| pb::ConfigureRoomRequest {
        name: "hall".into(),
        max_participants,
        metadata: metadata.map(str::to_owned),
    };
    let nobody = control.configure_room(as_dashboard(configure(Some(1), None))).await.unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound, "it makes no room");
    let (mut alice, _) = sfu.join("hall", "alice").await;
    let limited =
        control.configure_room(as_dashboard(configure(Some(1), Some("m")))).await.unwrap().into_inner();
    assert_eq!((limited.max_participants, limited.metadata.as_str()), (1, "m"));
    let refused = sfu.connect(&crate::harness::join_token("hall", "bob")).await.unwrap().next().await;
    assert!(matches!(refused, Some(Response::Leave(_))));
    let same = control.configure_room(as_dashboard(configure(None, None))).await.unwrap().into_inner();
    assert_eq!((same.max_participants, same.metadata.as_str()), (1, "m"), "what is not given stays");
    let lifted =
        control.configure_room(as_dashboard(configure(Some(0), Some("")))).await.unwrap().into_inner();
    assert_eq!((lifted.max_participants, lifted.metadata.as_str()), (0, ""));
    let (_bob, _) = sfu.join("hall", "bob").await;
    // Whoever makes the room anew with the token it has now makes the same room.
    let mut limits = Vec::new();
    while limits.len() < 3 {
        limits.push(claims_of(&refreshed(&mut alice).await)["roomConfig"].clone());
    }
    assert_eq!(limits, [json!(null), json!({ "maxParticipants": 1 }), json!(null)]);
    let told = |message| match message {
        Response::RoomUpdate(update) => {
            update.room.filter(|room| room.metadata.is_empty()).map(|room| room.max_participants)
        }
        _ => None,
    };
    assert_eq!(alice.until(told).await, 0);
    let long = "x".repeat(513 * 1024);
    let refused = control.configure_room(as_dashboard(configure(None, Some(&long)))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_rooms_life_is_told_on_redis_in_order() {
    let sfu = Sfu::start().await;
    let channels = ["room:created", "room:participant_joined", "room:participant_left", "room:ended"];
    let mut events = Subscriber::new(RedisServer::shared().url(), &channels).unwrap();
    assert!(matches!(events.next().await, BusItem::Reconnected), "subscribed");
    let (mut alice, _) = sfu.join("told", "alice").await;
    alice.send(Request::Leave(proto::LeaveRequest::default())).await;
    let mut control = client(&sfu).await;
    let mut kinds = Vec::new();
    while kinds.len() < 4 {
        let item = tokio::time::timeout(PATIENCE, events.next()).await.expect("an event in time");
        let BusItem::Event(event) = item else { continue };
        if event.room_id.as_deref() != Some("told") {
            continue;
        }
        assert_eq!(event.data["room_name"], "told");
        if event.kind == "room:participant_left" {
            assert_eq!(event.data["participant"]["identity"], "alice");
            assert_eq!(event.data["reason"], "CLIENT_INITIATED");
            let delete = pb::DeleteRoomRequest { room: "told".into() };
            control.delete_room(as_dashboard(delete)).await.unwrap();
        }
        kinds.push(event.kind);
    }
    assert_eq!(kinds, channels);
}

#[tokio::test]
async fn health_and_readiness_have_the_contracts_form() {
    let sfu = Sfu::start().await;
    let health: serde_json::Value = reqwest::get(sfu.url("/health")).await.unwrap().json().await.unwrap();
    assert_eq!(health["status"], "healthy");
    assert!(health["timestamp"].is_i64() || health["timestamp"].is_u64());
    let ready: serde_json::Value = reqwest::get(sfu.url("/ready")).await.unwrap().json().await.unwrap();
    assert_eq!((ready["status"].as_str(), ready["checks"]["shards"].as_bool()), (Some("ready"), Some(true)));
}

#[tokio::test]
async fn a_node_that_stops_sends_people_to_come_again() {
    let sfu = Sfu::start().await;
    let (mut alice, _) = sfu.join("hall", "alice").await;
    let address = sfu.http;
    drop(sfu);
    let leave = alice
        .until(|message| match message {
            Response::Leave(leave) => Some(leave),
            _ => None,
        })
        .await;
    assert_eq!(leave.action, proto::leave_request::Action::Reconnect as i32);
    aura_testkit::eventually(Duration::from_secs(10), || async move {
        tokio::net::TcpStream::connect(address).await.is_err()
    })
    .await;
}

/// Signs certificates for one deployment.
struct Authority(rcgen::CertifiedIssuer<'static, rcgen::KeyPair>);

/// PEM texts of one service's certificate, key and authority.
struct Identity([String; 3]);

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap())
    }

    fn identity(&self, service: &str) -> Identity {
        let mut params = rcgen::CertificateParams::new(vec![service.to_owned()]).unwrap();
        let uri = format!("spiffe://auralink/service/{service}");
        params.subject_alt_names.push(rcgen::SanType::URI(uri.try_into().unwrap()));
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Identity([cert.pem(), key.serialize_pem(), self.0.pem()])
    }
}

impl Identity {
    fn tls(&self) -> Tls {
        let [cert, key, ca] = &self.0;
        Tls::from_pem(cert.as_str(), Secret::new(key.as_str()), ca.as_str()).unwrap()
    }
}

#[tokio::test]
async fn with_certificates_peers_are_who_their_certificate_says() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let folder = Scratch::new("sfu-tls");
    let files = ["cert", "key", "ca"].map(|name| folder.path().join(name));
    for (path, text) in files.iter().zip(ours.identity("webrtc-sfu").0) {
        std::fs::write(path, text).unwrap();
    }
    let [cert, key, ca] = files.each_ref().map(|path| path.to_str().unwrap());
    let sfu = Sfu::with(&[
        ("AURA_SFU__GRPC_TLS__CERT_FILE", cert),
        ("AURA_SFU__GRPC_TLS__KEY_FILE", key),
        ("AURA_SFU__GRPC_TLS__CA_FILE", ca),
    ])
    .await;
    let list = |tls: Tls| {
        let keys = ServiceKeys::new(&Secret::new(SERVICE_SECRET)).unwrap();
        // The token says dashboard every time; only the certificate counts.
        let client = Client::new("dashboard", format!("https://{}", sfu.grpc), keys, SystemClock::shared());
        let channel = client.tls(Some(tls), "webrtc-sfu").connect_lazy().unwrap();
        async move { RoomControlClient::new(channel).list_rooms(pb::ListRoomsRequest::default()).await }
    };
    assert!(list(ours.identity("dashboard").tls()).await.is_ok());
    let stranger = list(ours.identity("stranger").tls()).await.unwrap_err();
    assert_eq!(stranger.code(), Code::PermissionDenied);
    assert!(list(theirs.identity("dashboard").tls()).await.is_err(), "another authority");
}
