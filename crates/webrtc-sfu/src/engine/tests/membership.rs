//! Coming, going, and when a room is over.

use super::*;

#[test]
fn the_first_word_is_join_and_the_others_learn_of_it() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.forget();
    let bob = stage.join("bob");
    let Some(Message::Join(join)) = stage.told_to(&bob).next() else { panic!("join comes first") };
    assert_eq!(join.other_participants.len(), 1);
    assert_eq!(join.participant.as_ref().unwrap().sid, bob.to_string());
    assert!(join.ping_interval > 0 && join.ping_timeout > 0, "zero makes clients panic");
    assert!(!join.subscriber_primary, "never with a single connection");
    let Some(Message::Update(update)) = stage.told_to(&alice).next() else { panic!("alice is told") };
    assert_eq!(update.participants[0].identity, "bob");
}

#[test]
fn the_same_identity_again_sends_the_first_away() {
    let mut stage = Stage::new();
    let first = stage.join("alice");
    stage.forget();
    let second = stage.join("alice");
    assert_ne!(first, second);
    let Some(Message::Leave(leave)) = stage.told_to(&first).next() else { panic!("the first is told why") };
    assert_eq!(leave.reason, proto::DisconnectReason::DuplicateIdentity as i32);
    assert!(
        stage.outputs.iter().any(|o| matches!(o, Output::Close { participant } if *participant == first))
    );
    assert_eq!(stage.room.participants.len(), 1);
}

#[test]
fn a_full_room_refuses_people_but_not_agents() {
    let mut stage = Stage::with(|policy| policy.max_participants = 1);
    stage.join("alice");
    assert_eq!(stage.join_as(joiner("bob")), Err(Refusal::RoomFull));
    let agent = Joiner { kind: proto::participant_info::Kind::Agent, ..joiner("helper") };
    assert!(stage.join_as(agent).is_ok());
}

#[test]
fn hidden_participants_are_announced_to_nobody() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.forget();
    let mut ghost = joiner("ghost");
    ghost.permission.hidden = true;
    let ghost = stage.join_as(ghost).unwrap();
    assert_eq!(stage.told_to(&alice).count(), 0);
    stage.forget();
    stage.room.data_received(&ghost, DataChannel::Reliable, &user_packet("boo").encode_to_vec()).unwrap();
    let Some(Output::Data { payload, .. }) = stage.room.poll_output() else { panic!("data is delivered") };
    assert_eq!(proto::DataPacket::decode(&payload[..]).unwrap().participant_identity, "", "without a name");
}

#[test]
fn rooms_end_when_nobody_came_or_everybody_left() {
    let mut stage = Stage::new();
    stage.pass(Duration::from_secs(299));
    assert!(!stage.room.is_ended());
    stage.pass(Duration::from_secs(2));
    assert!(stage.room.is_ended(), "nobody came");

    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.room.media_connected(&alice);
    stage.room.remove(&alice, proto::DisconnectReason::ClientInitiated, stage.now);
    stage.pass(Duration::from_secs(19));
    assert!(!stage.room.is_ended());
    stage.pass(Duration::from_secs(2));
    assert!(stage.room.is_ended(), "everybody left");
    stage.collect();
    let events: Vec<_> = stage
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Event(RoomEvent::Created { .. }) => Some("created"),
            Output::Event(RoomEvent::ParticipantJoined { .. }) => Some("joined"),
            Output::Event(RoomEvent::ParticipantLeft { .. }) => Some("left"),
            Output::Event(RoomEvent::Ended { .. }) => Some("ended"),
            _ => None,
        })
        .collect();
    assert_eq!(events, ["created", "joined", "left", "ended"]);
}

#[test]
fn an_agent_alone_keeps_no_room_open() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let agent = Joiner { kind: proto::participant_info::Kind::Agent, ..joiner("helper") };
    let agent = stage.join_as(agent).unwrap();
    stage.room.media_connected(&agent);
    stage.room.remove(&alice, proto::DisconnectReason::ClientInitiated, stage.now);
    stage.pass(Duration::from_secs(21));
    assert!(stage.room.is_ended());
}

/// What joins with `?publish=name` and the holder's token.
fn further(holder: &str, name: &str) -> Joiner {
    Joiner { identity: format!("{holder}#{name}"), ..joiner(holder) }
}

#[test]
fn one_token_opens_a_few_connections_and_no_more() {
    let mut stage = Stage::with(|policy| policy.max_participants = 10);
    let first: Vec<_> = (0..limit::FURTHER_CONNECTIONS)
        .map(|n| stage.join_as(further("eve", &n.to_string())).unwrap())
        .collect();
    assert_eq!(stage.join_as(further("eve", "one-more")), Err(Refusal::TooManyConnections));
    assert_eq!(stage.room.participants.len(), first.len(), "and nobody was sent away for it");
    assert!(stage.join_as(joiner("eve")).is_ok(), "the one that the token names always may");
    let again = stage.join_as(further("eve", "0")).unwrap();
    assert!(!stage.room.participants.contains_key(&first[0]), "it takes its own place");
    assert!(stage.join_as(further("bob", "screen")).is_ok(), "others have their own");
    stage.room.remove(&again, proto::DisconnectReason::ClientInitiated, stage.now);
    assert!(stage.join_as(further("eve", "one-more")).is_ok());
}

#[test]
fn a_further_connection_pushes_out_nobody_with_a_token_of_that_name() {
    let mut stage = Stage::new();
    let named = stage.join("alice#bob");
    assert_eq!(stage.join_as(further("alice", "bob")), Err(Refusal::NameTaken));
    assert!(stage.room.participants.contains_key(&named));
    stage.room.remove(&named, proto::DisconnectReason::ClientInitiated, stage.now);
    let squatter = stage.join_as(further("alice", "bob")).unwrap();
    stage.join("alice#bob");
    assert!(!stage.room.participants.contains_key(&squatter), "nor keeps it out");
}
