//! Death and drain of the service, and a database that goes away.

use aura_proto::aic::v1 as pb;
use aura_proto::aic::v1::stream_closed::Reason;
use aura_proto::aic::v1::stream_request::Message as Asked;
use aura_proto::aic::v1::stream_response::Message as Answer;
use aura_testkit::{Postgres, eventually};
use std::time::Duration;
use tonic::Code;
use uuid::Uuid;

use crate::client::{Client, LIMIT, format, opening, packets_of};
use crate::server::{Child, Server, migrated};
use crate::sound::{to_pcm, voice};

/// Opens, sends `count` packets and reads as many answers.
async fn talk(client: &mut Client, input: &[pb::Packet]) -> crate::client::Call {
    let open = opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Opus, 0));
    let mut call = client.open(open).await.unwrap();
    for packet in input {
        call.ask(Asked::Packet(packet.clone())).await;
        assert!(matches!(call.answer().await.unwrap(), Some(Answer::Packet(_))));
    }
    call
}

fn input() -> Vec<pb::Packet> {
    packets_of(&to_pcm(&voice(16_000, 1.0, 1)), 16_000)
}

#[tokio::test]
async fn a_killed_service_is_noticed_at_once() {
    let mut child = Child::start().await;
    let mut client = Client::of(child.grpc, "webrtc-sfu").await;
    let mut call = talk(&mut client, &input()).await;
    child.kill9().await;
    // The connection's end, not a timeout, tells: the limit is a hundredth of any of ours.
    let noticed = tokio::time::timeout(Duration::from_secs(5), call.answer()).await;
    let status = noticed.expect("noticed in time").unwrap_err();
    assert!(matches!(status.code(), Code::Unknown | Code::Unavailable | Code::Internal), "{status}");
}

#[tokio::test]
async fn sigterm_ends_streams_in_order_and_the_process_with_them() {
    let child = Child::start().await;
    let mut client = Client::of(child.grpc, "webrtc-sfu").await;
    let mut call = talk(&mut client, &input()).await;
    let reading = async {
        let heard = call.rest().await.unwrap();
        assert_eq!(heard.closed().reason(), Reason::Draining);
        assert!(heard.closed().state.is_some());
    };
    let (log, ()) = tokio::join!(child.terminate(), reading);
    assert!(log.contains("code=0") || log.contains("\"code\":0"), "{log}");
}

#[tokio::test]
async fn a_drained_stream_goes_on_elsewhere() {
    let (here, there) = (Server::start().await, Server::start().await);
    let (mut client, mut other) = (here.sfu().await, there.sfu().await);
    let input = input();
    let mut call = talk(&mut client, &input[..20]).await;
    here.drain();
    let closed = call.rest().await.unwrap().closed.unwrap();
    assert_eq!((closed.reason(), closed.last_taken), (Reason::Draining, Some(19)));
    let imported = other.codec.import_session(closed.state.unwrap()).await.unwrap().into_inner();
    let open = pb::StreamOpen { resume_session_id: imported.session_id, ..Default::default() };
    let heard = other.open(open).await.unwrap().finish(&input[20..]).await.unwrap();
    assert_eq!(heard.packets.first().unwrap().sequence, 20);
    assert_eq!(heard.packets.len(), 30);
    assert_eq!(here.stop().await, 0, "it ended in order");
}

#[tokio::test]
async fn audio_goes_on_without_the_database_and_what_was_measured_is_written_later() {
    let postgres = Postgres::start();
    let server = Server::on(migrated(&postgres).await, &[]).await;
    let mut client = server.dashboard().await;
    let user_id = Uuid::now_v7().to_string();
    let open = || pb::StreamOpen {
        user_id: user_id.clone(),
        ..opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Aic, 0))
    };
    postgres.kill9().await;
    let heard = client.open(open()).await.unwrap().finish(&input()).await.unwrap();
    assert_eq!(heard.closed().usage.as_ref().unwrap().frames, 50);
    let away =
        client.console.get_config(pb::GetConfigRequest { user_id: user_id.clone() }).await.unwrap_err();
    assert_eq!(away.code(), Code::Unavailable, "{away}");
    // Probes keep the service in place: only the console needs the database.
    let ready = reqwest::get(format!("http://{}/ready", server.addresses.admin)).await.unwrap();
    assert!(ready.status().is_success());

    postgres.restart().await;
    eventually(LIMIT, || {
        let (mut client, user_id) = (client.clone(), user_id.clone());
        async move {
            let request = pb::ListSessionsRequest { user_id, ..Default::default() };
            let sessions = client.console.list_sessions(request).await;
            sessions.is_ok_and(|found| found.get_ref().sessions.iter().any(|one| one.frames == 50))
        }
    })
    .await;
}

#[tokio::test]
async fn a_draining_service_takes_nothing_new() {
    let server = Server::start().await;
    let mut client = server.sfu().await;
    let mut call = talk(&mut client, &input()[..2]).await;
    // Connected before the drain, on a connection that lives on.
    let _other = client.connect().await.unwrap();
    server.drain();
    assert_eq!(call.rest().await.unwrap().closed().reason(), Reason::Draining);
    let refused = client.codec.get_status(pb::GetStatusRequest {}).await;
    assert!(refused.is_err() || refused.unwrap().into_inner().draining);
}
