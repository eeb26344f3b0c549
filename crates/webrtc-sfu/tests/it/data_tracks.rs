//! Data tracks as signalled: what is promised, told, refused, and asked in vain.

use livekit_protocol as proto;
use proto::request_response::Reason;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;

use crate::harness::{Client, Sfu};

fn publish(handle: u32, name: &str) -> Request {
    let name = name.into();
    Request::PublishDataTrackRequest(proto::PublishDataTrackRequest {
        pub_handle: handle,
        name,
        ..Default::default()
    })
}

fn subscribe(track_sids: Vec<String>) -> Request {
    let updates = track_sids.into_iter().map(|track_sid| proto::update_data_subscription::Update {
        track_sid,
        subscribe: true,
        options: None,
    });
    Request::UpdateDataSubscription(proto::UpdateDataSubscription { updates: updates.collect() })
}

async fn published(client: &mut Client) -> proto::DataTrackInfo {
    client
        .until(|message| match message {
            Response::PublishDataTrackResponse(response) => response.info,
            _ => None,
        })
        .await
}

async fn refused(client: &mut Client) -> Reason {
    client
        .until(|message| match message {
            Response::RequestResponse(response) => Some(response.reason()),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_track_is_told_to_others_and_a_subscriber_learns_its_handle() {
    let sfu = Sfu::start().await;
    let (mut alice, _) = sfu.join("hall", "alice").await;
    let (mut bob, _) = sfu.join("hall", "bob").await;
    alice.send(publish(77, "aic")).await;
    let info = published(&mut alice).await;
    assert_eq!((info.pub_handle, info.name.as_str()), (77, "aic"));
    let seen = bob
        .until(|message| match message {
            Response::Update(update) => {
                let alice = update.participants.into_iter().find(|p| p.identity == "alice")?;
                alice.data_tracks.into_iter().next()
            }
            _ => None,
        })
        .await;
    assert_eq!(seen, info);

    bob.send(subscribe(vec![info.sid.clone()])).await;
    let handles = bob
        .until(|message| match message {
            Response::DataTrackSubscriberHandles(handles) => Some(handles.sub_handles),
            _ => None,
        })
        .await;
    let [(1, track)] = &handles.iter().map(|(h, t)| (*h, t.clone())).collect::<Vec<_>>()[..] else {
        panic!("{handles:?}")
    };
    assert_eq!((track.publisher_identity.as_str(), &track.track_sid), ("alice", &info.sid));

    alice.send(Request::UnpublishDataTrackRequest(proto::UnpublishDataTrackRequest { pub_handle: 77 })).await;
    let gone = alice
        .until(|message| match message {
            Response::UnpublishDataTrackResponse(response) => response.info,
            _ => None,
        })
        .await;
    assert_eq!(gone, info);
    let (_carol, join) = sfu.join("hall", "carol").await;
    assert!(join.other_participants.iter().all(|participant| participant.data_tracks.is_empty()));
}

#[tokio::test]
async fn nonsense_about_data_tracks_is_answered_and_changes_nothing() {
    let sfu = Sfu::start().await;
    let (mut eve, _) = sfu.join("hall", "eve").await;
    for (request, reason) in [
        (publish(0, "zero"), Reason::InvalidHandle),
        (publish(u32::MAX, "many"), Reason::InvalidHandle),
        (publish(1, ""), Reason::InvalidName),
        (publish(1, &"\u{1f600}".repeat(100_000)), Reason::InvalidName),
        (subscribe(vec!["\u{1f600}".repeat(100); 2_000]), Reason::NotFound),
        (
            Request::UnpublishDataTrackRequest(proto::UnpublishDataTrackRequest { pub_handle: 5 }),
            Reason::NotFound,
        ),
        (Request::StoreDataBlobRequest(proto::StoreDataBlobRequest::default()), Reason::NotAllowed),
        (Request::GetDataBlobRequest(proto::GetDataBlobRequest::default()), Reason::NotAllowed),
    ] {
        eve.send(request).await;
        assert_eq!(refused(&mut eve).await, reason);
    }
    for handle in 1..=64 {
        eve.send(publish(handle, &handle.to_string())).await;
        published(&mut eve).await;
    }
    eve.send(publish(65, "one too many")).await;
    assert_eq!(refused(&mut eve).await, Reason::LimitExceeded);
}
