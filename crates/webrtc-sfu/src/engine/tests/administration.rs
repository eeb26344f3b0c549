//! What the server API and participants themselves change.

use super::*;

#[test]
fn revoking_publication_takes_tracks_away_live() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let track = stage.publish(&alice, "mic", MediaKind::Audio);
    stage.forget();
    let permission = proto::ParticipantPermission { can_subscribe: true, ..Default::default() };
    let request = AdminRequest::UpdateParticipant {
        identity: "alice".into(),
        name: None,
        metadata: None,
        attributes: HashMap::new(),
        permission: Some(Box::new(permission)),
    };
    stage.room.administer(request, stage.now).unwrap();
    stage.collect();
    assert!(
        stage
            .told_to(&alice)
            .any(|m| matches!(m, Message::TrackUnpublished(t) if t.track_sid == track.as_str()))
    );
    assert!(
        stage
            .outputs
            .iter()
            .any(|o| matches!(o, Output::Unsubscribe { subscriber, .. } if *subscriber == bob))
    );
    assert!(stage.outputs.iter().any(|o| matches!(o, Output::TrackGone { .. })));
}

#[test]
fn an_administrator_mutes_and_may_not_unmute() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let track = stage.publish(&alice, "mic", MediaKind::Audio);
    stage.forget();
    let mute = |muted| AdminRequest::Mute { identity: "alice".into(), track: track.to_string(), muted };
    let reply = stage.room.administer(mute(true), stage.now).unwrap();
    assert!(matches!(reply, AdminReply::Track(info) if info.muted));
    stage.collect();
    assert!(stage.told_to(&alice).any(|m| matches!(m, Message::Mute(order) if order.muted)));
    assert!(
        stage.outputs.iter().any(|o| matches!(o, Output::Gate { open: false, .. })),
        "the server enforces it"
    );
    let refused = stage.room.administer(mute(false), stage.now);
    assert_eq!(refused.unwrap_err(), AdminError::RemoteUnmuteDisabled);
}

#[test]
fn metadata_has_limits_and_rights_and_empty_attributes_are_deleted() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.forget();
    let change = |key: &str, value: &str| proto::UpdateParticipantMetadata {
        attributes: HashMap::from([(key.to_owned(), value.to_owned())]),
        request_id: 7,
        ..Default::default()
    };
    stage.room.update_own_metadata(&alice, change("hand", "up"));
    stage.room.participants.get_mut(&alice).unwrap().permission.can_update_metadata = true;
    stage.room.update_own_metadata(&alice, change("hand", &"x".repeat(65 * 1024)));
    stage.room.update_own_metadata(&alice, change("hand", "up"));
    assert_eq!(stage.room.participants[&alice].attributes["hand"], "up");
    stage.room.update_own_metadata(&alice, change("hand", ""));
    assert!(stage.room.participants[&alice].attributes.is_empty());
    stage.collect();
    use proto::request_response::Reason;
    let reasons: Vec<_> = stage
        .told_to(&alice)
        .filter_map(|message| match message {
            Message::RequestResponse(response) => Some(response.reason),
            _ => None,
        })
        .collect();
    assert_eq!(
        reasons,
        [Reason::NotAllowed, Reason::LimitExceeded, Reason::Ok, Reason::Ok].map(|r| r as i32)
    );
}
