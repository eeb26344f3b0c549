//! Who may call what: tokens missing, wrong, forged, and of the wrong service.

use aura_proto::aic::v1 as pb;
use aura_testkit::tokens;
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use crate::client::{Client, format, opening};
use crate::server::{SECRET, Server};

async fn code_of_status(client: &mut Client) -> Option<Code> {
    client.codec.get_status(pb::GetStatusRequest {}).await.err().map(|status| status.code())
}

#[tokio::test]
async fn only_genuine_tokens_of_known_services_open_the_door() {
    let server = Server::start().await;
    let claims = json!({"service": "webrtc-sfu", "iss": "auralink", "exp": tokens::now_s() + 60});
    let genuine = tokens::signed(SECRET, &claims);
    let cases = [
        (Some(genuine.clone()), None),
        (None, Some(Code::Unauthenticated)),
        (Some(String::new()), Some(Code::Unauthenticated)),
        (Some("not.a.token".to_owned()), Some(Code::Unauthenticated)),
        (Some(tokens::alg_none(&claims)), Some(Code::Unauthenticated)),
        (Some(tokens::signed("fedcba9876543210fedcba9876543210", &claims)), Some(Code::Unauthenticated)),
        (Some(tokens::service(SECRET, "webrtc-sfu", -60)), Some(Code::Unauthenticated)),
        (Some(tokens::service(SECRET, "webrtc-sfu", 3_600)), Some(Code::Unauthenticated)),
        (
            Some(tokens::with_claims(
                &genuine,
                &json!({"service": "dashboard", "iss": "auralink", "exp": 0}),
            )),
            Some(Code::Unauthenticated),
        ),
        (Some(tokens::service(SECRET, "somebody", 60)), Some(Code::PermissionDenied)),
    ];
    for (token, expected) in cases {
        let mut client = Client::with_token(server.addresses.grpc, token.as_deref()).await;
        assert_eq!(code_of_status(&mut client).await, expected, "{token:?}");
    }
}

#[tokio::test]
async fn only_services_with_users_reach_the_console() {
    let server = Server::start().await;
    let user_id = Uuid::now_v7().to_string();
    for (service, allowed) in
        [("dashboard", true), ("ai-core", true), ("webrtc-sfu", false), ("mesh-router", false)]
    {
        let mut client = Client::of(server.addresses.grpc, service).await;
        let answer = client.console.get_config(pb::GetConfigRequest { user_id: user_id.clone() }).await;
        match answer {
            Ok(_) => assert!(allowed, "{service}"),
            Err(status) => assert_eq!((allowed, status.code()), (false, Code::PermissionDenied), "{service}"),
        }
        assert_eq!(code_of_status(&mut client).await, None, "{service} may convert audio");
    }
}

#[tokio::test]
async fn a_stream_needs_a_token_too() {
    let server = Server::start().await;
    let mut client = Client::with_token(server.addresses.grpc, None).await;
    let open = opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Opus, 0));
    assert_eq!(client.open(open).await.map(drop).unwrap_err().code(), Code::Unauthenticated);
}
