//! What somebody who was away is told on coming back, and what newcomers must know at once.

use super::*;

impl Stage {
    fn speaks(&mut self, who: &ParticipantSid) {
        self.room.update_speakers(&BTreeMap::from([(who.clone(), 0.125)]));
        self.collect();
    }

    fn resumes(&mut self, who: &ParticipantSid) {
        self.forget();
        self.room.resume(who);
        self.collect();
    }

    /// Who each message of this kind says is speaking, in order.
    fn told_of_speakers(&self, to: &ParticipantSid) -> Vec<(String, bool)> {
        let speakers = self.told_to(to).filter_map(|message| match message {
            Message::SpeakersChanged(changed) => Some(changed.speakers.clone()),
            _ => None,
        });
        speakers.flatten().map(|speaker| (speaker.sid, speaker.active)).collect()
    }

    fn told_of_people(&self, to: &ParticipantSid) -> Vec<(String, bool)> {
        let people = self.told_to(to).filter_map(|message| match message {
            Message::Update(update) => Some(update.participants.clone()),
            _ => None,
        });
        let gone = proto::participant_info::State::Disconnected as i32;
        people.flatten().map(|person| (person.sid, person.state != gone)).collect()
    }
}

#[test]
fn who_was_away_learns_who_left_meanwhile() {
    let mut stage = Stage::new();
    let (alice, bob, carol) = (stage.join("alice"), stage.join("bob"), stage.join("carol"));
    stage.room.media_connected(&alice);
    stage.room.signal_lost(&alice, stage.now);
    for leaver in [&bob, &carol] {
        stage.room.remove(leaver, proto::DisconnectReason::ClientInitiated, stage.now);
    }
    let carol_again = stage.join("carol");
    stage.room.media_connected(&carol_again);
    stage.resumes(&alice);
    let people = stage.told_of_people(&alice);
    assert_eq!(people.first(), Some(&(bob.to_string(), false)), "{people:?}");
    // Clients drop people by identity: whoever is here again must not be dropped.
    assert!(
        !people.contains(&(carol.to_string(), false)) && people.contains(&(carol_again.to_string(), true))
    );

    stage.pass(Duration::from_secs(91));
    stage.resumes(&alice);
    assert!(stage.told_of_people(&alice).iter().all(|(_, here)| *here), "by then everybody knows");
}

#[test]
fn who_was_away_hears_that_speakers_who_left_are_silent_and_of_no_others() {
    let mut stage = Stage::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| stage.join(name));
    stage.room.media_connected(&alice);
    stage.speaks(&bob);
    stage.room.signal_lost(&alice, stage.now);
    stage.room.update_speakers(&BTreeMap::new());
    for leaver in [&bob, &carol] {
        stage.room.remove(leaver, proto::DisconnectReason::ClientInitiated, stage.now);
    }
    stage.resumes(&alice);
    let speakers = stage.told_of_speakers(&alice);
    assert!(speakers.contains(&(bob.to_string(), false)), "alice heard him begin: {speakers:?}");
    assert!(!speakers.iter().any(|(sid, _)| *sid == carol.to_string()), "{speakers:?}");
}

#[test]
fn who_leaves_while_speaking_is_silent_first() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.speaks(&alice);
    stage.forget();
    stage.room.remove(&alice, proto::DisconnectReason::ClientInitiated, stage.now);
    stage.collect();
    let told: Vec<_> = stage.told_to(&bob).collect();
    let silent = |message: &Message| matches!(message, Message::SpeakersChanged(changed) if !changed.speakers[0].active);
    let at = told.iter().position(|message| silent(message)).expect("told silent");
    let left =
        told.iter().position(|message| matches!(message, Message::Update(_))).expect("told to have left");
    assert!(at < left, "{told:?}");
}

#[test]
fn newcomers_and_returners_are_told_who_speaks() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let mut hidden = joiner("hidden");
    hidden.permission.hidden = true;
    let hidden = stage.join_as(hidden).unwrap();
    stage.room.media_connected(&bob);
    stage.room.update_speakers(&BTreeMap::from([(alice.clone(), 0.125), (hidden.clone(), 0.5)]));
    stage.forget();
    let carol = stage.join("carol");
    assert_eq!(stage.told_of_speakers(&carol), [(alice.to_string(), true)]);

    stage.room.signal_lost(&bob, stage.now);
    stage.room.update_speakers(&BTreeMap::new());
    stage.resumes(&bob);
    let speakers = stage.told_of_speakers(&bob);
    assert!(speakers.contains(&(alice.to_string(), false)), "fell silent while he was away: {speakers:?}");
    assert!(!speakers.iter().any(|(sid, _)| *sid == hidden.to_string()), "{speakers:?}");
}

#[test]
fn an_order_to_mute_that_was_lost_is_given_again() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.room.media_connected(&alice);
    let track = stage.publish(&alice, "mic", MediaKind::Audio);
    let mute = AdminRequest::Mute { identity: "alice".into(), track: track.to_string(), muted: true };
    stage.room.administer(mute, stage.now).unwrap();
    stage.room.signal_lost(&alice, stage.now);
    stage.resumes(&alice);
    let kinds: Vec<_> = stage.told_to(&alice).collect();
    let order = |message: &Message| matches!(message, Message::Mute(order) if order.muted);
    let at = kinds.iter().position(|message| order(message)).expect("the order");
    let update = kinds.iter().position(|message| matches!(message, Message::Update(_))).expect("an update");
    assert!(matches!(kinds[0], Message::Reconnect(_)) && at < update, "{kinds:?}");

    stage.room.mute_answered(&alice, track.as_str());
    stage.resumes(&alice);
    assert!(!stage.told_to(&alice).any(order), "answered");
}

#[test]
fn a_lost_signal_can_be_resumed_while_media_lives_and_not_before() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.room.media_connected(&alice);
    stage.room.signal_lost(&alice, stage.now);
    stage.room.signal_lost(&bob, stage.now);
    assert!(stage.room.participants.contains_key(&alice));
    assert!(!stage.room.participants.contains_key(&bob), "never connected: nothing to resume");
    stage.pass(Duration::from_secs(20));
    stage.forget();
    stage.room.resume(&alice);
    stage.collect();
    assert!(matches!(stage.told_to(&alice).next(), Some(Message::Reconnect(_))), "reconnect comes first");
    stage.pass(Duration::from_secs(120));
    assert!(stage.room.participants.contains_key(&alice), "resumed: the window is closed");
    stage.room.signal_lost(&alice, stage.now);
    stage.pass(Duration::from_secs(31));
    assert!(stage.room.participants.is_empty(), "and is gone if it never comes back");
}

#[test]
fn both_connections_of_a_client_may_fail_and_it_still_resumes() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.room.media_connected(&alice);
    stage.forget();
    stage.room.media_failed(&alice, stage.now);
    stage.room.media_failed(&alice, stage.now);
    stage.collect();
    let Some(Message::Leave(leave)) = stage.told_to(&alice).next() else { panic!("asked to resume") };
    assert_eq!(leave.action, proto::leave_request::Action::Resume as i32);
    assert!(stage.room.participants.contains_key(&alice));
}
