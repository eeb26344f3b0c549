//! Everybody in the room, ourselves included, and the events that turn one report into the next.
//!
//! Reports carry a version per participant; an older one is ignored. A new session id for a known identity means that
//! the old session is over.

use std::collections::HashMap;

use livekit_protocol as proto;

use crate::data_track::DataPublication;
use crate::event::RoomEvent;
use crate::participant::{ConnectionQuality, DisconnectReason, Participant, Publication, RoomInfo, Speaker};

#[derive(Debug, Default)]
pub(crate) struct Roster {
    pub(crate) room: RoomInfo,
    pub(crate) local: Participant,
    local_version: u32,
    others: HashMap<String, (Participant, u32)>,
}

impl Roster {
    /// A join, the first or after a full reconnect: the list of others is complete.
    pub(crate) fn joined(
        &mut self,
        room: proto::Room,
        local: proto::ParticipantInfo,
        others: Vec<proto::ParticipantInfo>,
    ) -> Vec<RoomEvent> {
        self.room = room.into();
        self.local_version = local.version;
        self.local = local.into();
        self.replace(others)
    }

    /// A complete list of participants: whoever is missing has left.
    pub(crate) fn replace(&mut self, infos: Vec<proto::ParticipantInfo>) -> Vec<RoomEvent> {
        let gone: Vec<_> =
            self.others.keys().filter(|sid| infos.iter().all(|info| info.sid != **sid)).cloned().collect();
        let mut events: Vec<_> =
            gone.iter().filter_map(|sid| self.remove(sid, DisconnectReason::UnknownReason)).collect();
        events.extend(self.update(infos));
        events
    }

    /// A report about some participants.
    pub(crate) fn update(&mut self, infos: Vec<proto::ParticipantInfo>) -> Vec<RoomEvent> {
        let mut events = Vec::new();
        for info in infos {
            if info.sid == self.local.sid || info.identity == self.local.identity {
                self.update_local(info, &mut events);
            } else if info.state() == proto::participant_info::State::Disconnected {
                let reason = info.disconnect_reason();
                events.extend(self.remove(&info.sid, reason));
            } else {
                self.update_other(info, &mut events);
            }
        }
        events
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = &Participant> {
        self.others.values().map(|(participant, _)| participant)
    }

    pub(crate) fn by_identity(&self, identity: &str) -> Option<&Participant> {
        self.others().find(|participant| participant.identity == identity)
    }

    /// A remote track and its publisher.
    pub(crate) fn publication(&self, track_sid: &str) -> Option<(&Publication, &Participant)> {
        self.others().find_map(|participant| Some((participant.publication(track_sid)?, participant)))
    }

    /// A data track of somebody else, and its publisher.
    pub(crate) fn data_publication(&self, track_sid: &str) -> Option<(&DataPublication, &Participant)> {
        self.others().find_map(|participant| {
            let publication = participant.data_tracks.iter().find(|track| track.sid == track_sid)?;
            Some((publication, participant))
        })
    }

    pub(crate) fn speakers(&mut self, changed: Vec<proto::SpeakerInfo>) -> RoomEvent {
        for speaker in changed {
            if let Some(participant) = self.by_sid_mut(&speaker.sid) {
                participant.speaking_level =
                    if speaker.active { speaker.level.max(f32::MIN_POSITIVE) } else { 0.0 };
            }
        }
        let everybody = self.others().chain(std::iter::once(&self.local));
        let mut speakers: Vec<_> = everybody
            .filter(|participant| participant.speaking_level > 0.0)
            .map(|participant| Speaker {
                sid: participant.sid.clone(),
                identity: participant.identity.clone(),
                level: participant.speaking_level,
            })
            .collect();
        speakers.sort_by(|a, b| b.level.total_cmp(&a.level).then_with(|| a.identity.cmp(&b.identity)));
        RoomEvent::ActiveSpeakersChanged(speakers)
    }

    pub(crate) fn quality(&mut self, sid: &str, quality: ConnectionQuality) -> Option<RoomEvent> {
        let participant = self.by_sid_mut(sid)?;
        if participant.connection_quality == Some(quality) {
            return None;
        }
        participant.connection_quality = Some(quality);
        Some(RoomEvent::ConnectionQualityChanged { identity: participant.identity.clone(), quality })
    }

    pub(crate) fn room(&mut self, room: proto::Room) -> Option<RoomEvent> {
        let room = RoomInfo::from(room);
        let previous = std::mem::replace(&mut self.room, room.clone());
        (room != previous).then_some(RoomEvent::RoomUpdated { room, previous })
    }

    fn by_sid_mut(&mut self, sid: &str) -> Option<&mut Participant> {
        if sid == self.local.sid {
            return Some(&mut self.local);
        }
        self.others.get_mut(sid).map(|(participant, _)| participant)
    }

    fn remove(&mut self, sid: &str, reason: DisconnectReason) -> Option<RoomEvent> {
        let (participant, _) = self.others.remove(sid)?;
        Some(RoomEvent::ParticipantDisconnected { participant, reason })
    }

    fn update_local(&mut self, info: proto::ParticipantInfo, events: &mut Vec<RoomEvent>) {
        if info.sid != self.local.sid || info.version < self.local_version {
            return;
        }
        self.local_version = info.version;
        let old = std::mem::replace(&mut self.local, info.into());
        self.local.speaking_level = old.speaking_level;
        self.local.connection_quality = old.connection_quality;
        changes(&old, &self.local, events);
        if let Some(permission) = self.local.permission.clone()
            && old.permission.as_ref() != Some(&permission)
        {
            events.push(RoomEvent::PermissionsChanged(permission));
        }
    }

    fn update_other(&mut self, info: proto::ParticipantInfo, events: &mut Vec<RoomEvent>) {
        let version = info.version;
        let mut new = Participant::from(info);
        let Some((old, known_version)) = self.others.get(&new.sid) else {
            let predecessor = self.by_identity(&new.identity).map(|old| old.sid.clone());
            if let Some(sid) = predecessor {
                events.extend(self.remove(&sid, DisconnectReason::DuplicateIdentity));
            }
            events.push(RoomEvent::ParticipantConnected(new.clone()));
            tracks(&[], &new, events);
            data_tracks(&[], &new, events);
            self.others.insert(new.sid.clone(), (new, version));
            return;
        };
        if version < *known_version {
            return;
        }
        let old = old.clone();
        new.speaking_level = old.speaking_level;
        new.connection_quality = old.connection_quality;
        changes(&old, &new, events);
        tracks(&old.tracks, &new, events);
        data_tracks(&old.data_tracks, &new, events);
        self.others.insert(new.sid.clone(), (new, version));
    }
}

fn changes(old: &Participant, new: &Participant, events: &mut Vec<RoomEvent>) {
    if old.metadata != new.metadata {
        events.push(RoomEvent::MetadataChanged { participant: new.clone(), previous: old.metadata.clone() });
    }
    if old.name != new.name {
        events.push(RoomEvent::NameChanged { participant: new.clone(), previous: old.name.clone() });
    }
    let added = new.attributes.iter().filter(|(key, value)| old.attributes.get(*key) != Some(value));
    let removed = old.attributes.keys().filter(|key| !new.attributes.contains_key(*key));
    let changed: HashMap<_, _> = added
        .map(|(key, value)| (key.clone(), value.clone()))
        .chain(removed.map(|key| (key.clone(), String::new())))
        .collect();
    if !changed.is_empty() {
        events.push(RoomEvent::AttributesChanged { participant: new.clone(), changed });
    }
}

fn tracks(old: &[Publication], participant: &Participant, events: &mut Vec<RoomEvent>) {
    let participant = || participant.clone();
    for publication in old {
        if participant().publication(&publication.sid).is_none() {
            events.push(RoomEvent::TrackUnpublished {
                publication: publication.clone(),
                participant: participant(),
            });
        }
    }
    for publication in participant().tracks {
        match old.iter().find(|old| old.sid == publication.sid) {
            None => events.push(RoomEvent::TrackPublished { publication, participant: participant() }),
            Some(old) if !old.muted && publication.muted => {
                events.push(RoomEvent::TrackMuted { publication, participant: participant() });
            }
            Some(old) if old.muted && !publication.muted => {
                events.push(RoomEvent::TrackUnmuted { publication, participant: participant() });
            }
            Some(_) => {}
        }
    }
}

fn data_tracks(old: &[DataPublication], new: &Participant, events: &mut Vec<RoomEvent>) {
    let missing = |from: &[DataPublication], sid: &str| from.iter().all(|track| track.sid != sid);
    for publication in old.iter().filter(|track| missing(&new.data_tracks, &track.sid)).cloned() {
        events.push(RoomEvent::DataTrackUnpublished { publication, participant: new.clone() });
    }
    for publication in new.data_tracks.iter().filter(|track| missing(old, &track.sid)).cloned() {
        events.push(RoomEvent::DataTrackPublished { publication, participant: new.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(sid: &str, identity: &str, version: u32) -> proto::ParticipantInfo {
        proto::ParticipantInfo {
            sid: sid.into(),
            identity: identity.into(),
            state: proto::participant_info::State::Active.into(),
            version,
            ..Default::default()
        }
    }

    fn track(sid: &str, muted: bool) -> proto::TrackInfo {
        proto::TrackInfo { sid: sid.into(), muted, mime_type: "audio/opus".into(), ..Default::default() }
    }

    fn roster() -> Roster {
        let mut roster = Roster::default();
        roster.joined(proto::Room::default(), info("PA_me", "me", 1), vec![]);
        roster
    }

    #[test]
    fn joins_changes_and_leaves_become_events() {
        let mut roster = roster();
        let mut ann = info("PA_a", "ann", 1);
        ann.tracks.push(track("TR_1", false));
        let events = roster.update(vec![ann.clone()]);
        assert!(matches!(
            &events[..],
            [RoomEvent::ParticipantConnected(who), RoomEvent::TrackPublished { publication, .. }]
                if who.identity == "ann" && publication.sid == "TR_1"
        ));

        ann.version = 2;
        ann.tracks = vec![track("TR_1", true), track("TR_2", false)];
        ann.attributes.insert("mood".into(), "good".into());
        let events = roster.update(vec![ann.clone()]);
        assert!(matches!(
            &events[..],
            [
                RoomEvent::AttributesChanged { changed, .. },
                RoomEvent::TrackMuted { .. },
                RoomEvent::TrackPublished { .. }
            ] if changed["mood"] == "good"
        ));

        ann.state = proto::participant_info::State::Disconnected.into();
        let events = roster.update(vec![ann]);
        assert!(matches!(&events[..], [RoomEvent::ParticipantDisconnected { .. }]));
        assert_eq!(roster.others().count(), 0);
    }

    #[test]
    fn old_reports_are_ignored() {
        let mut roster = roster();
        let mut ann = info("PA_a", "ann", 5);
        ann.metadata = "new".into();
        roster.update(vec![ann]);
        assert!(roster.update(vec![info("PA_a", "ann", 4)]).is_empty());
        assert_eq!(roster.by_identity("ann").map(|ann| ann.metadata.as_str()), Some("new"));
    }

    #[test]
    fn a_new_session_replaces_the_old_one() {
        let mut roster = roster();
        roster.update(vec![info("PA_a", "ann", 5)]);
        let events = roster.update(vec![info("PA_b", "ann", 1)]);
        assert!(matches!(
            &events[..],
            [RoomEvent::ParticipantDisconnected { .. }, RoomEvent::ParticipantConnected(_)]
        ));
        assert_eq!(roster.others().map(|ann| ann.sid.as_str()).collect::<Vec<_>>(), ["PA_b"]);
    }

    #[test]
    fn a_complete_list_removes_whoever_is_missing() {
        let mut roster = roster();
        roster.update(vec![info("PA_a", "ann", 1), info("PA_b", "bob", 1)]);
        let events = roster.replace(vec![info("PA_b", "bob", 1), info("PA_me", "me", 2)]);
        assert!(matches!(
            &events[..],
            [RoomEvent::ParticipantDisconnected { participant, .. }] if participant.identity == "ann"
        ));
    }

    #[test]
    fn speakers_are_remembered_until_they_stop() {
        let mut roster = roster();
        roster.update(vec![info("PA_a", "ann", 1), info("PA_b", "bob", 1)]);
        let says = |sid: &str, level, active| proto::SpeakerInfo { sid: sid.into(), level, active };
        let names = |event| match event {
            RoomEvent::ActiveSpeakersChanged(speakers) => {
                speakers.into_iter().map(|speaker: Speaker| speaker.identity).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            names(roster.speakers(vec![says("PA_a", 0.25, true), says("PA_b", 0.5, true)])),
            ["bob", "ann"]
        );
        assert_eq!(names(roster.speakers(vec![says("PA_b", 0.0, false)])), ["ann"]);
    }

    #[test]
    fn quality_is_reported_on_change_only() {
        let mut roster = roster();
        assert!(roster.quality("PA_me", ConnectionQuality::Good).is_some());
        assert!(roster.quality("PA_me", ConnectionQuality::Good).is_none());
        assert!(roster.quality("PA_nobody", ConnectionQuality::Good).is_none());
    }
}
