//! Who speaks, and how well everybody is heard.

use super::*;

#[test]
fn speakers_and_quality_are_told_when_they_change() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.publish(&alice, "mic", MediaKind::Audio);
    stage.forget();
    let speaking = BTreeMap::from([(alice.clone(), 0.5)]);
    stage.room.update_speakers(&speaking);
    stage.room.update_speakers(&speaking);
    stage.room.update_speakers(&BTreeMap::new());
    stage.collect();
    let levels: Vec<_> = stage
        .told_to(&bob)
        .filter_map(|message| match message {
            Message::SpeakersChanged(changed) => {
                Some((changed.speakers[0].level, changed.speakers[0].active))
            }
            _ => None,
        })
        .collect();
    assert_eq!(levels, [(0.5, true), (0.0, false)], "once each");

    stage.forget();
    stage.room.update_quality(&BTreeMap::from([(alice.clone(), Uplink { loss_percent: 20.0 })]));
    stage.collect();
    assert_eq!(qualities_told(&stage, &bob), [(alice.clone(), proto::ConnectionQuality::Poor)]);
}

/// The connection qualities somebody was told since the stage last forgot, but not their own.
fn qualities_told(stage: &Stage, who: &ParticipantSid) -> Vec<(ParticipantSid, proto::ConnectionQuality)> {
    stage
        .told_to(who)
        .filter_map(|message| match message {
            Message::ConnectionQuality(told) => Some(told.updates.clone()),
            _ => None,
        })
        .flatten()
        .filter(|update| update.participant_sid != who.to_string())
        .map(|update| (update.participant_sid.parse().unwrap(), update.quality()))
        .collect()
}

#[test]
fn who_is_not_heard_any_more_is_lost_for_everyone_at_once() {
    use proto::ConnectionQuality::{Lost, Poor};
    let mut stage = Stage::new();
    // Bob subscribes to nothing: there is nothing to subscribe to.
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.forget();
    let heard = stage.now.at;
    let at = |sending| BTreeMap::from([(alice.clone(), Heard { at: heard, sending })]);
    let nobody: [(ParticipantSid, proto::ConnectionQuality); 0] = [];
    let after = |stage: &mut Stage, sending: bool, seconds: f32| {
        stage.forget();
        stage.room.update_presence(&at(sending), heard + Duration::from_secs_f32(seconds));
        stage.collect();
        qualities_told(stage, &bob)
    };
    assert_eq!(after(&mut stage, false, 6.5), nobody, "an idle client checks every six seconds");
    assert_eq!(after(&mut stage, false, 7.5), [(alice.clone(), Lost)]);
    assert_eq!(after(&mut stage, false, 8.5), nobody, "once");
    assert_eq!(after(&mut stage, false, 0.5), [(alice.clone(), Poor)], "heard again");
    assert_eq!(after(&mut stage, true, 2.5), nobody);
    assert_eq!(after(&mut stage, true, 3.5), [(alice.clone(), Lost)], "media that were coming stopped");
    stage.room.update_quality(&BTreeMap::from([(alice.clone(), Uplink { loss_percent: 0.0 })]));
    assert_eq!(after(&mut stage, true, 4.5), nobody, "no window without packets makes it excellent");

    after(&mut stage, false, 0.5);
    let now = Moment { at: heard, ..stage.now };
    stage.room.participants.get_mut(&alice).unwrap().state = proto::participant_info::State::Active;
    stage.room.signal_lost(&alice, now);
    assert_eq!(after(&mut stage, false, 3.5), [(alice.clone(), Lost)], "signalling is gone too");
}
