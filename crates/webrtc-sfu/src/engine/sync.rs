//! `sync_state`: what a client believes after its signalling came back. What it asked for meanwhile may have been lost, so
//! the room's idea of its wishes becomes the client's.

use std::collections::HashSet;

use aura_types::{ParticipantSid, TrackSid};
use livekit_protocol as proto;
use proto::client_info::Sdk;

use super::participant::Participant;
use super::room::Room;
use super::subscribe::tracks_named;

impl Room {
    /// Makes the room what the client says. False: it believes what we cannot share, and must start over.
    pub(crate) fn sync(&mut self, sid: &ParticipantSid, state: &proto::SyncState) -> bool {
        let Some(me) = self.participants.get(sid) else { return true };
        let is_known = |published: &proto::TrackPublishedResponse| {
            published.track.as_ref().is_some_and(|track| {
                me.track(&track.sid).is_some()
                    || me.pending.iter().any(|pending| pending.info.sid == track.sid)
            })
        };
        if !state.publish_tracks.iter().all(is_known) || !self.sync_data_tracks(sid, state) {
            return false;
        }
        self.sync_disabled(sid, &state.track_sids_disabled);
        if let Some(subscription) = &state.subscription {
            self.sync_subscription(sid, subscription);
        }
        true
    }

    fn sync_disabled(&mut self, sid: &ParticipantSid, disabled: &[String]) {
        let disabled: HashSet<&str> = disabled.iter().map(String::as_str).collect();
        let Some(me) = self.participants.get_mut(sid) else { return };
        let mut changed: Vec<TrackSid> = Vec::new();
        if !disabled.is_empty() || me.says_what_it_disables() {
            for (track, setting) in &mut me.settings {
                let is_disabled = disabled.contains(track.as_str());
                if std::mem::replace(&mut setting.disabled, is_disabled) != is_disabled {
                    changed.push(track.clone());
                }
            }
        }
        for name in disabled {
            let Some((publisher, track)) = self.find_track(name) else { continue };
            let Some(me) = self.participants.get_mut(sid) else { return };
            if !me.settings.contains_key(&track) {
                me.settings.entry(track.clone()).or_default().disabled = true;
                self.note_opinion(sid, &publisher, &track);
                changed.push(track);
            }
        }
        for track in changed {
            self.prefer(sid, &track);
        }
    }

    /// The tracks for which the client's wish is not `auto_subscribe`, all of them. What an administrator decided it does
    /// not know of, and that stays.
    fn sync_subscription(&mut self, sid: &ParticipantSid, wishes: &proto::UpdateSubscription) {
        let Some(me) = self.participants.get_mut(sid) else { return };
        // The other way round it names exceptions from nothing.
        if wishes.subscribe != me.auto_subscribe {
            let named: HashSet<&str> = tracks_named(wishes).map(String::as_str).collect();
            let mut taken_back = Vec::new();
            me.choices.retain(|track, choice| {
                let stays = !choice.own || named.contains(track.as_str());
                if !stays {
                    taken_back.push(track.clone());
                }
                stays
            });
            for track in taken_back {
                if let Some(publisher) = self.publishers.get(&track).cloned() {
                    self.reconcile(sid, &publisher, &track);
                }
            }
        }
        self.update_subscription(sid, wishes);
    }
}

impl Participant {
    /// Whether an empty list of disabled tracks means that there are none. Clients that never fill it either say every
    /// setting again after a resume, or keep what they could not send meanwhile and send it then.
    fn says_what_it_disables(&self) -> bool {
        matches!(self.client.sdk(), Sdk::Js | Sdk::ReactNative | Sdk::UnityWeb | Sdk::Flutter)
    }
}
