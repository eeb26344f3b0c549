//! Who receives what: automatic subscription, explicit choices, and the publisher's rules.

use aura_types::{ParticipantSid, TrackSid};
use livekit_protocol as proto;
use proto::signal_response::Message;

use super::participant::{Choice, Participant, SubscriptionRules};
use super::room::Room;
use super::track::Track;
use super::{Output, limit};

/// What one message about a changed rule is counted as.
const TOLD_BYTES: usize = 64;

impl Room {
    /// Subscribes a newcomer to everything it may have.
    pub(crate) fn subscribe_to_everything(&mut self, subscriber: &ParticipantSid) {
        for (publisher, track) in self.published_tracks() {
            self.reconcile(subscriber, &publisher, &track);
        }
    }

    /// Subscribes everyone who may have it to a new track.
    pub(crate) fn offer_to_everyone(&mut self, publisher: &ParticipantSid, track: &TrackSid) {
        for subscriber in self.participants.keys().cloned().collect::<Vec<_>>() {
            self.reconcile(&subscriber, publisher, track);
        }
    }

    fn published_tracks(&self) -> Vec<(ParticipantSid, TrackSid)> {
        self.participants
            .values()
            .flat_map(|owner| owner.tracks.iter().map(|track| (owner.sid.clone(), track.sid.clone())))
            .collect()
    }

    /// Makes one subscription what wishes and permissions say it should be.
    pub(crate) fn reconcile(
        &mut self,
        subscriber: &ParticipantSid,
        publisher: &ParticipantSid,
        track: &TrackSid,
    ) {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        if subscriber == publisher {
            return;
        }
        let (Some(me), Some(owner)) = (self.participants.get(subscriber), self.participants.get(publisher))
        else {
            return;
        };
        let Some(published) = owner.track(track.as_str()) else { return };
        let first = published.audience.is_empty();
        let wished = me.choices.get(track).map_or(me.auto_subscribe, |choice| choice.subscribe);
        let allowed = owner.allows(me, track);
        let wanted = wished && me.permission.can_subscribe && allowed && !me.undecodable.contains(track);
        let has = me.subscribed.contains_key(track);
        self.tell_whether_allowed(subscriber, publisher, track, allowed);
        let Some(me) = self.participants.get_mut(subscriber) else { return };
        if wanted && !has {
            me.subscribed.insert(track.clone(), publisher.clone());
            self.outputs.push_back(Output::Subscribe {
                subscriber: subscriber.clone(),
                publisher: publisher.clone(),
                track: track.clone(),
            });
            self.prefer(subscriber, track);
            if first {
                let message = proto::TrackSubscribed { track_sid: track.to_string() };
                self.signal(publisher, Message::TrackSubscribed(message));
            }
        } else if !wanted && has {
            me.subscribed.remove(track);
            self.leave_audience(subscriber, publisher, track);
            self.outputs
                .push_back(Output::Unsubscribe { subscriber: subscriber.clone(), track: track.clone() });
        }
    }

    pub(crate) fn note_opinion(&mut self, of: &ParticipantSid, publisher: &ParticipantSid, track: &TrackSid) {
        if let Some(published) = self.published_mut(publisher, track) {
            published.audience.opinions.insert(of.clone());
        }
    }

    fn leave_audience(&mut self, subscriber: &ParticipantSid, publisher: &ParticipantSid, track: &TrackSid) {
        if let Some(published) = self.published_mut(publisher, track) {
            published.audience.remove(subscriber);
            self.unreviewed.insert(track.clone());
        }
    }

    /// A participant has left: its part in others' audiences ends.
    pub(crate) fn forget_subscriptions_of(&mut self, gone: &Participant) {
        let with_opinion = gone.choices.keys().chain(gone.settings.keys());
        for track in with_opinion.chain(&gone.told_forbidden).chain(&gone.undecodable) {
            let Some(publisher) = self.publishers.get(track).cloned() else { continue };
            if let Some(published) = self.published_mut(&publisher, track) {
                published.audience.opinions.remove(&gone.sid);
            }
        }
        for (track, publisher) in &gone.subscribed {
            self.leave_audience(&gone.sid, publisher, track);
            self.outputs
                .push_back(Output::Unsubscribe { subscriber: gone.sid.clone(), track: track.clone() });
        }
    }

    pub(crate) fn published_mut(
        &mut self,
        publisher: &ParticipantSid,
        track: &TrackSid,
    ) -> Option<&mut Track> {
        self.participants.get_mut(publisher)?.track_mut(track.as_str())
    }

    /// `subscription_permission_update`, when it is news: clients take for granted that they may.
    fn tell_whether_allowed(
        &mut self,
        subscriber: &ParticipantSid,
        publisher: &ParticipantSid,
        track: &TrackSid,
        allowed: bool,
    ) {
        let Some(me) = self.participants.get_mut(subscriber) else { return };
        let is_news =
            if allowed { me.told_forbidden.remove(track) } else { me.told_forbidden.insert(track.clone()) };
        if is_news {
            let update = proto::SubscriptionPermissionUpdate {
                participant_sid: publisher.to_string(),
                track_sid: track.to_string(),
                allowed,
            };
            self.note_opinion(subscriber, publisher, track);
            self.signal(subscriber, Message::SubscriptionPermissionUpdate(update));
        }
    }

    /// The subscriber's client cannot decode the track: it is told, and gets it no more unless it asks again, or the
    /// track comes in another format.
    pub(crate) fn codec_unsupported(&mut self, subscriber: &ParticipantSid, track: &TrackSid) {
        let Some(me) = self.participants.get_mut(subscriber) else { return };
        let Some(publisher) = me.subscribed.get(track).cloned() else { return };
        me.undecodable.insert(track.clone());
        self.note_opinion(subscriber, &publisher, track);
        self.reconcile(subscriber, &publisher, track);
        self.refuse_subscription(subscriber, track.as_str(), proto::SubscriptionError::SeCodecUnsupported);
    }

    /// The track comes in another format: who could not decode it gets it, and says if that is no better.
    pub(crate) fn ask_again_who_could_not_decode(&mut self, publisher: &ParticipantSid, track: &TrackSid) {
        let published = self.participants.get(publisher).and_then(|owner| owner.track(track.as_str()));
        let Some(published) = published else { return };
        let could_not = |sid: &&ParticipantSid| {
            self.participants.get(*sid).is_some_and(|subscriber| subscriber.undecodable.contains(track))
        };
        let subscribers: Vec<_> = published.audience.opinions.iter().filter(could_not).cloned().collect();
        for sid in &subscribers {
            if let Some(subscriber) = self.participants.get_mut(sid) {
                subscriber.undecodable.remove(track);
            }
            self.reconcile(sid, publisher, track);
        }
        self.spend_allowance(publisher, subscribers.len() * TOLD_BYTES);
    }

    fn refuse_subscription(
        &mut self,
        subscriber: &ParticipantSid,
        track: &str,
        error: proto::SubscriptionError,
    ) {
        let response = proto::SubscriptionResponse { track_sid: track.to_owned(), err: error as i32 };
        self.signal(subscriber, Message::SubscriptionResponse(response));
    }

    /// `subscription`: the subscriber wants, or no longer wants, these tracks.
    pub(crate) fn update_subscription(&mut self, sid: &ParticipantSid, update: &proto::UpdateSubscription) {
        self.choose(sid, update, true);
    }

    /// The same as the participant's `own` words or an administrator's.
    pub(crate) fn choose(&mut self, sid: &ParticipantSid, update: &proto::UpdateSubscription, own: bool) {
        for name in tracks_named(update).take(limit::TRACKS_PER_REQUEST) {
            let Some((publisher, track)) = self.find_track(name) else {
                // Who no longer wants what is gone has what it wants.
                if update.subscribe {
                    self.refuse_subscription(sid, name, proto::SubscriptionError::SeTrackNotfound);
                }
                continue;
            };
            if let Some(me) = self.participants.get_mut(sid) {
                me.choices.insert(track.clone(), Choice { subscribe: update.subscribe, own });
                if update.subscribe {
                    me.undecodable.remove(&track);
                }
            }
            self.note_opinion(sid, &publisher, &track);
            self.reconcile(sid, &publisher, &track);
        }
    }

    /// `subscription_permission`: the publisher decides who may subscribe, to what there is and what it will publish.
    pub(crate) fn set_subscription_rules(
        &mut self,
        sid: &ParticipantSid,
        rules: proto::SubscriptionPermission,
    ) {
        let tracks: usize = rules.track_permissions.iter().map(|rule| rule.track_sids.len()).sum();
        if rules.track_permissions.len() > limit::TRACKS_PER_REQUEST || tracks > limit::TRACKS_IN_RULES {
            return;
        }
        let rules = match rules.all_participants {
            true => None,
            false => match self.rules_by_identity(rules.track_permissions) {
                Some(rules) => Some(rules),
                None => return,
            },
        };
        if self.may_announce(sid) {
            self.apply_rules(sid, rules);
        } else if let Some(owner) = self.participants.get_mut(sid) {
            owner.waiting_rules = Some(rules);
        }
    }

    pub(crate) fn apply_rules(&mut self, sid: &ParticipantSid, rules: Option<SubscriptionRules>) {
        let Some(owner) = self.participants.get_mut(sid) else { return };
        owner.subscription_rules = rules;
        owner.waiting_rules = None;
        let before = self.outputs.len();
        let tracks: Vec<_> = owner.tracks.iter().map(|track| track.sid.clone()).collect();
        for track in tracks {
            self.offer_to_everyone(sid, &track);
        }
        self.spend_allowance(sid, (self.outputs.len() - before) * TOLD_BYTES);
        self.review_data_rules(sid);
    }

    /// The rules by the identities they are about, so that they outlast reconnecting. `None`: one does not say whom it
    /// is about.
    fn rules_by_identity(&self, rules: Vec<proto::TrackPermission>) -> Option<SubscriptionRules> {
        let mut by_identity = SubscriptionRules::new();
        for rule in rules {
            let identity = match (rule.participant_identity.as_str(), rule.participant_sid.as_str()) {
                ("", "") => return None,
                // Somebody who has left.
                ("", _) => match self.participants.get(rule.participant_sid.as_str()) {
                    Some(participant) => participant.identity.clone(),
                    None => continue,
                },
                (identity, _) => identity.to_owned(),
            };
            by_identity.insert(identity, rule);
        }
        Some(by_identity)
    }

    /// The owner and id of a published track by its name.
    pub(crate) fn find_track(&self, name: &str) -> Option<(ParticipantSid, TrackSid)> {
        self.publishers.get_key_value(name).map(|(track, owner)| (owner.clone(), track.clone()))
    }
}

/// The tracks an update is about.
pub(crate) fn tracks_named(update: &proto::UpdateSubscription) -> impl Iterator<Item = &String> {
    update.track_sids.iter().chain(update.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids))
}
