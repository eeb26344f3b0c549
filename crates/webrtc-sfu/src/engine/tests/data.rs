//! Data packets: whose they are, and whom they reach.

use super::*;

#[test]
fn nobody_speaks_for_another() {
    let mut stage = Stage::new();
    let (alice, _bob) = (stage.join("alice"), stage.join("bob"));
    stage.forget();
    let forged = proto::DataPacket {
        participant_identity: "bob".into(),
        participant_sid: "PA_bob".into(),
        ..user_packet("hello")
    };
    stage.room.data_received(&alice, DataChannel::Reliable, &forged.encode_to_vec()).unwrap();
    let Some(Output::Data { payload, .. }) = stage.room.poll_output() else { panic!("delivered") };
    let received = proto::DataPacket::decode(&payload[..]).unwrap();
    assert_eq!(
        (received.participant_identity.as_str(), received.participant_sid),
        ("alice", alice.to_string())
    );
    assert!(stage.room.poll_output().is_none(), "the sender gets no copy");
}

#[test]
fn data_is_refused_without_the_right_twice_or_broken() {
    let mut stage = Stage::new();
    let mut silent = joiner("silent");
    silent.permission.can_publish_data = false;
    let silent = stage.join_as(silent).unwrap();
    let alice = stage.join("alice");
    let bytes = user_packet("x").encode_to_vec();
    let refused = |room: &mut Room, sid, bytes: &[u8]| room.data_received(sid, DataChannel::Reliable, bytes);
    assert_eq!(refused(&mut stage.room, &silent, &bytes), Err(DataRefusal::NotAllowed));
    assert_eq!(refused(&mut stage.room, &alice, b"\xff\xff"), Err(DataRefusal::Malformed));
    assert_eq!(refused(&mut stage.room, &alice, &vec![0; 70_000]), Err(DataRefusal::TooLarge));
    let numbered = proto::DataPacket { sequence: 5, ..user_packet("x") }.encode_to_vec();
    assert_eq!(refused(&mut stage.room, &alice, &numbered), Ok(()));
    assert_eq!(
        refused(&mut stage.room, &alice, &numbered),
        Err(DataRefusal::Duplicate),
        "resent after a resume"
    );
    let transcription = proto::DataPacket {
        value: Some(proto::data_packet::Value::Transcription(proto::Transcription::default())),
        ..Default::default()
    };
    assert_eq!(
        refused(&mut stage.room, &alice, &transcription.encode_to_vec()),
        Err(DataRefusal::NotAllowed)
    );
}

#[test]
fn a_destination_list_is_honoured() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.join("carol");
    stage.forget();
    let to_bob = proto::DataPacket { destination_identities: vec!["bob".into()], ..user_packet("psst") };
    stage.room.data_received(&alice, DataChannel::Lossy, &to_bob.encode_to_vec()).unwrap();
    let reached: Vec<_> = std::iter::from_fn(|| stage.room.poll_output())
        .filter_map(|output| match output {
            Output::Data { to, .. } => Some(to),
            _ => None,
        })
        .collect();
    assert_eq!(reached, [bob]);
}

#[test]
fn one_token_has_one_allowance_of_data_however_often_it_comes() {
    let mut stage = Stage::new();
    let spend = |stage: &mut Stage, eve: &ParticipantSid| {
        let now = stage.now.at;
        let sent = (0..1_000).filter(|_| stage.room.spend(eve, DataChannel::Lossy, 60_000, now).is_ok());
        sent.count()
    };
    let eve = stage.join("eve");
    assert!((10..1_000).contains(&spend(&mut stage, &eve)));
    let further = |name: &str| Joiner { holder: "eve".into(), ..joiner(name) };
    let second = stage.join_as(further("eve#second")).unwrap();
    assert_eq!(spend(&mut stage, &second), 0, "another connection shares it");
    for sid in [eve, second] {
        stage.room.remove(&sid, proto::DisconnectReason::ClientInitiated, stage.now);
    }
    for name in ["eve", "eve#third"] {
        let back = stage.join_as(further(name)).unwrap();
        assert_eq!(spend(&mut stage, &back), 0, "{name} came back at once");
    }
    let bob = stage.join("bob");
    assert!(spend(&mut stage, &bob) > 10, "others have their own");
    stage.pass(Duration::from_secs(10));
    assert!(stage.room.budgets.is_empty(), "full again is forgotten");
}
