//! Doors for the fuzzer (`fuzz/`) to parsers of the wire that are private otherwise. Compiled only for it, and for tests
//! that walk through them with random input.

use std::collections::HashMap;

use livekit_protocol as proto;
use prost::Message as _;

use crate::engine::joiner::Joiner;
use crate::engine::room::Room;
use crate::engine::{DataChannel, Output};
use crate::testing;
use crate::transport::aic;
use crate::transport::sdp::{SectionText, read_sections, rewrite, without_candidates};

/// Reads a description and rewrites it both ways.
pub fn sdp(text: &str) {
    let sections = read_sections(text);
    let idle: HashMap<_, _> = sections.iter().map(|s| (s.mid.clone(), SectionText::Idle)).collect();
    rewrite(text, &idle);
    let send = SectionText::Send { stream_id: "PA_x|TR_x".into(), track_id: "TR_x".into() };
    let all: HashMap<_, _> = sections.iter().map(|s| (s.mid.clone(), send.clone())).collect();
    let written = rewrite(text, &all);
    assert_eq!(read_sections(&written).len(), sections.len(), "no section appears or is lost");
    let (read, _) = aic::inbound(text, "aic16m-1");
    aic::outbound(&read, "aic16m-1");
    assert_eq!(read_sections(&read).len(), sections.len(), "nor by naming a codec");
    assert_eq!(read_sections(&without_candidates(text)).len(), sections.len(), "nor with the candidates");
}

/// Decodes a join request.
pub fn join_request(text: &str) {
    let _ = crate::api::join_request::decode_join_request(text);
}

/// Finds the user name of a STUN request.
pub fn stun(datagram: &[u8]) {
    let _ = crate::shard::demux::stun_ufrag(datagram);
}

/// Feeds bytes to a room as data packets and as signalling about tracks, subscriptions and metadata.
pub fn room(bytes: &[u8]) {
    use proto::signal_request::Message as Request;
    let now = testing::now();
    let mut room = Room::new("fuzz".into(), testing::policy(), now);
    let Ok(alice) = room.join(joiner("alice"), now) else { return };
    let Ok(bob) = room.join(joiner("bob"), now) else { return };
    let _ = room.data_received(&alice, DataChannel::Reliable, bytes);
    if let Ok(request) = proto::SignalRequest::decode(bytes) {
        match request.message {
            Some(Request::AddTrack(request)) => room.add_track(&alice, request),
            Some(Request::Subscription(update)) => room.update_subscription(&alice, &update),
            Some(Request::TrackSetting(update)) => room.update_track_settings(&alice, &update),
            Some(Request::SubscriptionPermission(rules)) => room.set_subscription_rules(&alice, rules),
            Some(Request::UpdateMetadata(update)) => room.update_own_metadata(&alice, update),
            Some(Request::PublishDataTrackRequest(request)) => room.publish_data_track(&alice, request),
            Some(Request::UnpublishDataTrackRequest(request)) => room.unpublish_data_track(&alice, request),
            Some(Request::UpdateDataSubscription(update)) => room.update_data_subscription(&bob, &update),
            Some(Request::SyncState(state)) => {
                room.sync(&alice, &state);
            }
            _ => {}
        }
    }
    while room.poll_output().is_some() {}
}

/// Feeds bytes to a room as a packet of a data track that has a subscriber. What is forwarded differs from what came
/// in its handle alone, and can be read.
pub fn data_track(packet: &[u8]) {
    let now = testing::now();
    let mut room = Room::new("fuzz".into(), testing::policy(), now);
    let Ok(alice) = room.join(joiner("alice"), now) else { return };
    let Ok(bob) = room.join(joiner("bob"), now) else { return };
    // Every packet's handle but 0 finds a track.
    let pub_handle = packet.get(2..4).map_or(1, |bytes| u32::from(bytes[0]) << 8 | u32::from(bytes[1]));
    let name = "fuzz".into();
    room.publish_data_track(
        &alice,
        proto::PublishDataTrackRequest { pub_handle, name, ..Default::default() },
    );
    let tracks = room.participants.get(&alice).map(|alice| alice.data_tracks.infos()).unwrap_or_default();
    let wish = |info: proto::DataTrackInfo| proto::update_data_subscription::Update {
        track_sid: info.sid,
        subscribe: true,
        options: None,
    };
    let updates = tracks.into_iter().map(wish).collect();
    room.update_data_subscription(&bob, &proto::UpdateDataSubscription { updates });
    let accepted = room.data_track_received(&alice, packet.to_vec(), now.at).is_ok();
    let mut forwarded = 0;
    while let Some(output) = room.poll_output() {
        let Output::DataTrack { packet: mut copy, copies } = output else { continue };
        for to in copies.iter() {
            aura_media::data_track::set_handle(&mut copy, to.handle);
            let parsed = aura_media::data_track::Packet::parse(&copy).expect("still a packet");
            assert_eq!(parsed.header.handle, to.handle, "under the subscriber's handle");
            assert_eq!((&copy[..2], &copy[4..]), (&packet[..2], &packet[4..]), "nothing else changes");
            let _ = parsed.read_extensions();
            forwarded += 1;
        }
    }
    assert_eq!(forwarded, usize::from(accepted), "accepted means forwarded");
}

/// Somebody who may do everything.
fn joiner(identity: &str) -> Joiner {
    let mut joiner = testing::joiner(identity);
    joiner.permission.can_update_metadata = true;
    joiner
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_door_lets_a_panic_through(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,200}") {
            super::sdp(&text);
            super::sdp(&String::from_utf8_lossy(&bytes));
            super::join_request(&text);
            super::stun(&bytes);
            super::room(&bytes);
            super::data_track(&bytes);
        }

        #[test]
        fn data_track_packets_are_forwarded_or_refused(
            flags in prop_oneof![Just(0x18_u8), Just(0x1c), Just(0x10), any::<u8>()],
            handle in prop_oneof![Just(0_u16), 1_u16..4, any::<u16>()],
            rest in proptest::collection::vec(prop_oneof![Just(0_u8), Just(2), Just(8), any::<u8>()], 0..60),
        ) {
            let mut packet = vec![flags, 0];
            packet.extend(handle.to_be_bytes());
            packet.extend(&rest);
            super::data_track(&packet);
        }

        #[test]
        fn lines_of_a_description_in_any_order_are_kept(
            lines in proptest::collection::vec(
                prop_oneof![
                    Just("m=audio 9 X 111"), Just("m=video 0 X 96 97"), Just("a=mid:1"), Just("a=mid:"),
                    Just("a=sendonly"), Just("a=recvonly"), Just("a=msid:a b"), Just("a=ssrc:1 msid:a b"),
                    Just("a=ssrc-group:FID 1 2"), Just("a=rtpmap:111 opus/48000/2"), Just("a=fmtp:111 x=1"),
                    Just("a=bundle-only"), Just("v=0"),
                ],
                0..40,
            ),
        ) {
            super::sdp(&lines.join("\r\n"));
        }
    }
}
