//! What a full room, and one participant who floods it, cost: counted in pairs looked at, messages and bytes.

use super::*;

const MANY: usize = 500;

impl Stage {
    /// A room where everyone shows a camera to everyone.
    fn full() -> (Self, Vec<(ParticipantSid, TrackSid)>) {
        let mut stage = Self::new();
        let people = (0..MANY)
            .map(|index| {
                let sid = stage.join(&format!("p{index}"));
                let track = stage.publish(&sid, "cam", MediaKind::Video);
                stage.forget();
                (sid, track)
            })
            .collect();
        stage.room.review_subscribed_qualities();
        stage.forget();
        (stage, people)
    }

    /// Pairs looked at by `work`, and what it said.
    fn looks(&mut self, work: impl FnOnce(&mut Room)) -> usize {
        self.forget();
        let before = self.room.looks.get();
        work(&mut self.room);
        self.collect();
        self.room.looks.get() - before
    }
}

#[test]
fn work_in_a_room_of_five_hundred_is_linear_in_what_changed() {
    let (mut stage, people) = Stage::full();
    let (alice, track) = people[0].clone();
    let bob = people[1].0.clone();

    let setting =
        proto::UpdateTrackSettings { track_sids: vec![track.to_string()], height: 180, ..Default::default() };
    let looks = stage.looks(|room| room.update_track_settings(&bob, &setting));
    assert!(looks <= 2, "one tile changes its size: {looks}");
    let looks = stage.looks(Room::review_subscribed_qualities);
    assert!(looks <= 1, "a review after one change: {looks}");
    assert_eq!(stage.messages, 0, "others still watch the highest layer");

    let wish = |subscribe| proto::UpdateSubscription {
        track_sids: vec![track.to_string()],
        subscribe,
        ..Default::default()
    };
    let looks = stage.looks(|room| room.update_subscription(&bob, &wish(false)));
    assert!(looks <= 2, "one subscription ends: {looks}");

    let mut newcomer = None;
    let now = stage.now;
    let looks = stage.looks(|room| newcomer = room.join(joiner("late"), now).ok());
    assert!(looks <= 3 * MANY, "a newcomer gets {MANY} tracks: {looks}");
    let newcomer = newcomer.unwrap();
    assert_eq!(stage.subscriptions().len(), MANY);
    assert!(stage.messages < 10, "{} messages for a join, each to many", stage.messages);
    let mut track = None;
    let looks = stage.looks(|room| {
        let request = proto::AddTrackRequest { cid: "mic".into(), ..Default::default() };
        room.add_track(&newcomer, request);
        let kind = MediaKind::Audio;
        let facts = MediaFacts { cid: "mic", kind, mid: "0", codecs: &[], aic: false, simulcast: false };
        track = room.claim_media(&newcomer, &facts);
    });
    assert!(looks <= 3 * MANY, "a new track goes to {MANY} people: {looks}");
    let now = stage.now;
    let looks = stage.looks(|room| room.remove(&alice, proto::DisconnectReason::ClientInitiated, now));
    assert!(looks <= MANY, "one leaves: {looks}");
    assert!(stage.messages < 10, "{} messages for a leave, each to many", stage.messages);
    let looks = stage.looks(Room::review_subscribed_qualities);
    assert!(looks <= MANY, "{looks}");
    assert_eq!(stage.looks(Room::review_subscribed_qualities), 0, "nothing changed");
}

#[test]
fn the_audience_is_what_the_subscriptions_say() {
    let mut stage = Stage::new();
    let people: Vec<_> = ["alice", "bob", "carol"].map(|name| stage.join(name)).into();
    let track = stage.publish(&people[0], "cam", MediaKind::Video);
    let watched = |stage: &Stage| {
        let audience = &stage.room.participants[&people[0]].tracks[0].audience;
        (audience.subscribers().count(), audience.watched())
    };
    assert_eq!(watched(&stage), (2, [true; 3]));
    let disabled = proto::UpdateTrackSettings {
        track_sids: vec![track.to_string()],
        disabled: true,
        ..Default::default()
    };
    stage.room.update_track_settings(&people[1], &disabled);
    assert_eq!(watched(&stage), (2, [true; 3]));
    stage.room.remove(&people[2], proto::DisconnectReason::ClientInitiated, stage.now);
    assert_eq!(watched(&stage), (1, [false; 3]), "who is left looks away");
    assert!(stage.room.participants[&people[0]].tracks[0].audience.opinions.contains(&people[1]));
    stage.room.remove(&people[1], proto::DisconnectReason::ClientInitiated, stage.now);
    assert!(stage.room.participants[&people[0]].tracks[0].audience.opinions.is_empty());
    stage.room.unpublish(&people[0], &track, false);
    assert!(stage.room.find_track(track.as_str()).is_none());
}

fn metadata(bytes: usize) -> proto::UpdateParticipantMetadata {
    proto::UpdateParticipantMetadata { metadata: "x".repeat(bytes), request_id: 1, ..Default::default() }
}

impl Stage {
    fn talkative(&mut self, identity: &str) -> ParticipantSid {
        self.talkative_by(identity, identity)
    }

    fn talkative_by(&mut self, holder: &str, identity: &str) -> ParticipantSid {
        let mut joiner = Joiner { holder: holder.into(), ..joiner(identity) };
        joiner.permission.can_update_metadata = true;
        // The token's bound is another matter.
        joiner.token_allowance = usize::MAX;
        self.join_as(joiner).unwrap()
    }

    /// Bytes of what one participant was told, and how often.
    fn updates_to(&self, sid: &ParticipantSid) -> (usize, usize) {
        self.told_to(sid)
            .filter_map(|message| match message {
                Message::Update(update) => Some(update.encoded_len()),
                _ => None,
            })
            .fold((0, 0), |(bytes, count), len| (bytes + len, count + 1))
    }
}

#[test]
fn who_floods_metadata_is_told_to_stop_and_others_hear_little_of_it() {
    use proto::request_response::Reason;
    let mut stage = Stage::new();
    let (eve, bob) = (stage.talkative("eve"), stage.talkative("bob"));
    stage.forget();
    for _ in 0..10 {
        for _ in 0..100 {
            stage.room.update_own_metadata(&eve, metadata(limit::METADATA_BYTES));
        }
        stage.pass(Duration::from_secs(1));
    }
    stage.collect();
    let (bytes, count) = stage.updates_to(&bob);
    assert!(bytes < 3 * limit::METADATA_BYTES && count > 0, "{bytes} bytes in {count} updates");
    let refused = stage.told_to(&eve).filter(
        |message| matches!(message, Message::RequestResponse(r) if r.reason == Reason::LimitExceeded as i32),
    );
    assert!(refused.count() > 990);
    stage.forget();
    stage.room.update_own_metadata(&bob, metadata(100));
    stage.collect();
    assert_eq!(stage.updates_to(&eve).1, 1, "bob's own allowance is untouched");
}

#[test]
fn changes_beyond_the_allowance_are_told_later_with_the_latest_state() {
    let mut stage = Stage::new();
    let (eve, bob) = (stage.talkative("eve"), stage.join("bob"));
    let track = stage.publish(&eve, "mic", MediaKind::Audio);
    stage.room.update_own_metadata(&eve, metadata(limit::METADATA_BYTES));
    stage.forget();
    for round in 0..1_000 {
        stage.room.set_muted(&eve, track.as_str(), round % 2 == 0);
    }
    stage.room.set_muted(&eve, track.as_str(), true);
    stage.collect();
    assert_eq!(stage.updates_to(&bob).1, 0, "the large state has used the allowance up");
    for _ in 0..20 {
        stage.pass(Duration::from_secs(1));
    }
    stage.collect();
    let told: Vec<_> = stage
        .told_to(&bob)
        .filter_map(|message| match message {
            Message::Update(update) => Some(update.participants[0].tracks[0].muted),
            _ => None,
        })
        .collect();
    assert_eq!(told, [true], "once, and what is true now");
}

#[test]
fn leaving_and_coming_back_fills_no_allowance() {
    let mut stage = Stage::new();
    let bob = stage.join("bob");
    stage.forget();
    for round in 0..100 {
        let eve = match round % 2 {
            0 => stage.talkative("eve"),
            _ => stage.talkative_by("eve", &format!("eve#{round}")),
        };
        stage.room.update_own_metadata(&eve, metadata(limit::METADATA_BYTES));
        stage.room.remove(&eve, proto::DisconnectReason::ClientInitiated, stage.now);
    }
    stage.collect();
    let (bytes, _) = stage.updates_to(&bob);
    assert!(bytes < 2 * limit::METADATA_BYTES, "{bytes}");
    for _ in 0..60 {
        stage.pass(Duration::from_secs(1));
    }
    assert!(stage.room.allowances.is_empty(), "and is forgotten in the end");
}

#[test]
fn all_connections_of_one_token_share_an_allowance() {
    let mut stage = Stage::new();
    let bob = stage.join("bob");
    let mut eves = vec![stage.talkative("eve")];
    eves.extend((0..limit::FURTHER_CONNECTIONS).map(|n| stage.talkative_by("eve", &format!("eve#{n}"))));
    stage.forget();
    for eve in &eves {
        stage.room.update_own_metadata(eve, metadata(limit::METADATA_BYTES));
    }
    stage.collect();
    let (bytes, count) = stage.updates_to(&bob);
    assert!(bytes < 2 * limit::METADATA_BYTES && count == 1, "{bytes} bytes in {count} updates");
}

#[test]
fn what_people_say_of_themselves_fits_into_the_room_and_everyone_keeps_a_share() {
    let mut stage = Stage::new();
    let talkers: Vec<_> = (0..20).map(|index| stage.talkative(&format!("p{index}"))).collect();
    for talker in &talkers {
        stage.room.update_own_metadata(talker, metadata(limit::METADATA_BYTES));
    }
    let total = |stage: &Stage| stage.room.participants.values().map(|p| p.own_bytes()).sum::<usize>();
    assert!(total(&stage) <= limit::ROOM_STATE_BYTES);
    let late = stage.talkative("late");
    stage.room.update_own_metadata(&late, metadata(3_000));
    assert_eq!(stage.room.participants[&late].metadata.len(), 3_000);
    let boastful = Joiner {
        metadata: "x".repeat(limit::METADATA_BYTES),
        own_words_bytes: limit::METADATA_BYTES,
        ..joiner("boastful")
    };
    assert_eq!(stage.join_as(boastful), Err(Refusal::RoomFull));
}

#[test]
fn a_publisher_that_keeps_changing_its_rules_bothers_people_only_with_what_changes() {
    let mut stage = Stage::new();
    let (eve, bob) = (stage.join("eve"), stage.join("bob"));
    let tracks: Vec<_> = (0..limit::TRACKS)
        .map(|index| stage.publish(&eve, &format!("mic-{index}"), MediaKind::Audio))
        .collect();
    stage.forget();
    let told = |stage: &Stage| {
        let of_rules = |message: &&Message| matches!(message, Message::SubscriptionPermissionUpdate(_));
        stage.told_to(&bob).filter(of_rules).count()
    };
    let nobody = proto::SubscriptionPermission::default();
    for _ in 0..100 {
        stage.room.set_subscription_rules(&eve, nobody.clone());
    }
    stage.collect();
    assert_eq!(told(&stage), tracks.len(), "said once");
    stage.forget();
    let everyone = proto::SubscriptionPermission { all_participants: true, ..Default::default() };
    for _ in 0..2_000 {
        stage.room.set_subscription_rules(&eve, everyone.clone());
        stage.room.set_subscription_rules(&eve, nobody.clone());
    }
    stage.room.set_subscription_rules(&eve, everyone);
    stage.collect();
    assert!(told(&stage) < 20_000, "{}", told(&stage));
    for _ in 0..20 {
        stage.pass(Duration::from_secs(1));
    }
    assert!(tracks.iter().all(|track| stage.room.participants[&bob].subscribed.contains_key(track)));
}
