//! What the room tells participants periodically: speakers, connection quality, and which layers anyone watches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aura_media::layer::Layer;
use aura_media::{Codec, MediaKind};
use aura_types::{ParticipantSid, TrackSid};
use livekit_protocol as proto;
use proto::signal_response::Message;

use super::room::Room;

/// How well a participant's uplink did in the last window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Uplink {
    pub(crate) loss_percent: f32,
}

/// When a participant's connections were last heard of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Heard {
    pub(crate) at: Instant,
    /// Unmuted media were coming then.
    pub(crate) sending: bool,
}

/// Silence after which a connection counts as lost, long before ICE and the resume window give it up: browsers check
/// an idle connection every 2.5 s.
const LOST_AFTER: Duration = Duration::from_secs(3);

/// The same for somebody who has nothing to send while signalling stands: consent is due every 6 s at least (RFC 7675).
const IDLE_LOST_AFTER: Duration = Duration::from_secs(7);

impl Room {
    /// Levels (0 to 1) of everyone who speaks now. Changes are told to everyone.
    pub(crate) fn update_speakers(&mut self, levels: &BTreeMap<ParticipantSid, f32>) {
        let mut changed = Vec::new();
        for (sid, participant) in &mut self.participants {
            let level = levels.get(sid).copied().unwrap_or(0.0);
            let before = self.speakers.get(sid).copied().unwrap_or(0.0);
            participant.has_spoken |= level > 0.0;
            if !participant.is_hidden() && (level - before).abs() > f32::EPSILON {
                changed.push(speaker(sid.to_string(), level));
            }
        }
        if changed.is_empty() {
            return;
        }
        self.speakers =
            levels.iter().filter(|(_, level)| **level > 0.0).map(|(s, l)| (s.clone(), *l)).collect();
        let message = Message::SpeakersChanged(proto::SpeakersChanged { speakers: changed });
        let everyone = self.participants.keys().cloned().collect();
        self.signal_many(everyone, message);
    }

    /// Scores every uplink and tells those whom it concerns about changes.
    pub(crate) fn update_quality(&mut self, uplinks: &BTreeMap<ParticipantSid, Uplink>) {
        let mut changed = Vec::new();
        for (sid, participant) in &mut self.participants {
            let (quality, score) = uplinks.get(sid).map_or((proto::ConnectionQuality::Excellent, 5.0), score);
            // Nothing came: there is nothing to score.
            if participant.unheard {
                continue;
            }
            if participant.quality != Some(quality) {
                participant.quality = Some(quality);
                changed.push((
                    sid.clone(),
                    proto::ConnectionQualityInfo {
                        participant_sid: sid.to_string(),
                        quality: quality as i32,
                        score,
                    },
                ));
            }
        }
        if changed.is_empty() {
            return;
        }
        let mut updates: BTreeMap<ParticipantSid, Vec<proto::ConnectionQualityInfo>> = BTreeMap::new();
        for (sid, info) in changed {
            let Some(owner) = self.participants.get(&sid) else { continue };
            let mut watchers: BTreeSet<_> =
                owner.tracks.iter().flat_map(|track| track.audience.subscribers()).collect();
            watchers.insert(&sid);
            for watcher in watchers {
                updates.entry(watcher.clone()).or_default().push(info.clone());
            }
        }
        for (sid, updates) in updates {
            self.signal(&sid, Message::ConnectionQuality(proto::ConnectionQualityUpdate { updates }));
        }
    }

    /// Tells everyone, also who subscribes to nothing of theirs, who cannot be heard any more, and who can again. Call
    /// about once a second.
    pub(crate) fn update_presence(&mut self, heard: &BTreeMap<ParticipantSid, Heard>, now: Instant) {
        use proto::ConnectionQuality::{Lost, Poor};
        let mut updates = Vec::new();
        for (sid, participant) in &mut self.participants {
            let unheard = heard.get(sid).is_some_and(|heard| {
                let busy = heard.sending || participant.signal_lost_at.is_some();
                now.duration_since(heard.at) > if busy { LOST_AFTER } else { IDLE_LOST_AFTER }
            });
            if std::mem::replace(&mut participant.unheard, unheard) == unheard || participant.is_hidden() {
                continue;
            }
            // Heard again, but how well is known only after the next window.
            let (quality, score) = if unheard { (Lost, 1.0) } else { (Poor, 2.0) };
            participant.quality = Some(quality);
            let participant_sid = sid.to_string();
            updates.push(proto::ConnectionQualityInfo { participant_sid, quality: quality as i32, score });
        }
        if updates.is_empty() {
            return;
        }
        let message = Message::ConnectionQuality(proto::ConnectionQualityUpdate { updates });
        let everyone = self.participants.keys().cloned().collect();
        self.signal_many(everyone, message);
    }

    /// Dynacast: tells the publisher at once when a layer that was switched off is watched again. Switching off waits
    /// for the review, so that scrolling through tiles does not restart encoders.
    pub(crate) fn raise_subscribed_quality(&mut self, publisher: &ParticipantSid, track: &TrackSid) {
        let found = self.participants.get(publisher).and_then(|owner| owner.track(track.as_str()));
        let Some(found) = found else { return };
        let Some(told) = found.announced_qualities else { return };
        let watched = found.audience.watched();
        if Layer::ALL.iter().any(|layer| watched[layer.index()] && !told[layer.index()]) {
            self.announce_quality(publisher, track);
        }
    }

    fn announce_quality(&mut self, publisher: &ParticipantSid, track: &TrackSid) {
        let Some(found) = self.participants.get_mut(publisher).and_then(|p| p.track_mut(track.as_str()))
        else {
            return;
        };
        let enabled = found.wanted_qualities();
        if found.kind() == MediaKind::Audio || found.announced_qualities == Some(enabled) {
            return;
        }
        found.announced_qualities = Some(enabled);
        let qualities: Vec<_> = Layer::ALL
            .into_iter()
            .zip([proto::VideoQuality::Low, proto::VideoQuality::Medium, proto::VideoQuality::High])
            .map(|(layer, quality)| proto::SubscribedQuality {
                quality: quality as i32,
                enabled: enabled[layer.index()],
            })
            .collect();
        let update = proto::SubscribedQualityUpdate {
            track_sid: track.to_string(),
            subscribed_codecs: vec![proto::SubscribedCodec {
                codec: found.codec_name().into(),
                qualities: qualities.clone(),
            }],
            // Clients older than codec lists read the flat one.
            subscribed_qualities: qualities,
        };
        self.signal(publisher, Message::SubscribedQualityUpdate(update));
    }

    /// Tells publishers what is watched of the tracks whose audience changed; called every few seconds.
    pub(crate) fn review_subscribed_qualities(&mut self) {
        for track in std::mem::take(&mut self.unreviewed) {
            if let Some(publisher) = self.publishers.get(&track).cloned() {
                self.announce_quality(&publisher, &track);
            }
        }
    }

    /// Tells a publisher of AIC whether it may send it now; otherwise it sends Opus from its next packet on.
    pub(crate) fn announce_aic(&mut self, publisher: &ParticipantSid, track: &TrackSid, enabled: bool) {
        let Some(found) = self.participants.get_mut(publisher).and_then(|p| p.track_mut(track.as_str()))
        else {
            return;
        };
        found.announced_aic = Some(enabled);
        let codec = |codec: Codec, enabled: bool| proto::SubscribedCodec {
            codec: codec.mime().into(),
            qualities: vec![proto::SubscribedQuality { quality: proto::VideoQuality::High as i32, enabled }],
        };
        let update = proto::SubscribedQualityUpdate {
            track_sid: track.to_string(),
            subscribed_codecs: vec![codec(Codec::Aic, enabled), codec(Codec::Opus, true)],
            ..Default::default()
        };
        self.signal(publisher, Message::SubscribedQualityUpdate(update));
    }

    /// What a participant may have missed while its signalling was down: wanted layers, who speaks.
    pub(crate) fn repeat_feedback(&mut self, sid: &ParticipantSid) {
        let Some(me) = self.participants.get_mut(sid) else { return };
        let tracks: Vec<_> =
            me.tracks.iter_mut().map(|track| (track.announced_qualities.take(), track.sid.clone())).collect();
        for (_, track) in tracks.iter().filter(|(told, _)| told.is_some()) {
            self.announce_quality(sid, track);
        }
        let codecs: Vec<_> = self
            .participants
            .get(sid)
            .into_iter()
            .flat_map(|me| &me.tracks)
            .filter_map(|track| Some((track.sid.clone(), track.announced_aic?)))
            .collect();
        for (track, enabled) in codecs {
            self.announce_aic(sid, &track, enabled);
        }
        // Those who fell silent meanwhile too.
        let speakers = self.visible_levels().collect();
        self.signal(sid, Message::SpeakersChanged(proto::SpeakersChanged { speakers }));
    }

    /// Tells a newcomer who speaks: later it hears of changes alone.
    pub(crate) fn tell_speakers(&mut self, to: &ParticipantSid) {
        let speakers: Vec<_> = self.visible_levels().filter(|speaker| speaker.active).collect();
        if !speakers.is_empty() {
            self.signal(to, Message::SpeakersChanged(proto::SpeakersChanged { speakers }));
        }
    }

    /// Tells somebody who was away that speakers who left meanwhile speak no more; before it hears that they left.
    pub(crate) fn silence_gone_speakers(&mut self, to: &ParticipantSid) {
        let speakers: Vec<_> =
            self.gone_lately.speakers().map(|gone| speaker(gone.sid.clone(), 0.0)).collect();
        if !speakers.is_empty() {
            self.signal(to, Message::SpeakersChanged(proto::SpeakersChanged { speakers }));
        }
    }

    fn visible_levels(&self) -> impl Iterator<Item = proto::SpeakerInfo> {
        self.participants.values().filter(|participant| !participant.is_hidden()).map(|participant| {
            let level = self.speakers.get(&participant.sid).copied().unwrap_or(0.0);
            speaker(participant.sid.to_string(), level)
        })
    }
}

/// Silent at level 0.
pub(crate) fn speaker(sid: String, level: f32) -> proto::SpeakerInfo {
    proto::SpeakerInfo { sid, level, active: level > 0.0 }
}

/// Loss to a quality and a mean-opinion-like score between 1 and 5.
fn score(uplink: &Uplink) -> (proto::ConnectionQuality, f32) {
    use proto::ConnectionQuality::{Excellent, Good, Poor};
    let score = (5.0 - uplink.loss_percent * 0.15).clamp(1.5, 5.0);
    match uplink.loss_percent {
        loss if loss < 2.0 => (Excellent, score),
        loss if loss < 6.0 => (Good, score),
        _ => (Poor, score),
    }
}
