//! Names, metadata, attributes and permissions, changed by their owner or by an administrator.

use std::collections::{BTreeMap, HashMap};

use aura_types::ParticipantSid;
use livekit_protocol as proto;
use proto::request_response::Reason;
use proto::signal_response::Message;

use super::publish::may_publish;
use super::room::Room;
use super::{Output, limit};

impl Room {
    /// `update_metadata`: the participant changes itself. Always answered when it carries a request id.
    pub(crate) fn update_own_metadata(
        &mut self,
        sid: &ParticipantSid,
        update: proto::UpdateParticipantMetadata,
    ) {
        let Some(participant) = self.participants.get(sid) else { return };
        let allowed = participant.permission.can_update_metadata;
        let fits = metadata_fits(&update.name, &update.metadata, &update.attributes, &participant.attributes);
        let reason = match (allowed, fits) {
            (false, _) => Reason::NotAllowed,
            (true, false) => Reason::LimitExceeded,
            (true, true) => Reason::Ok,
        };
        let request_id = update.request_id;
        if reason == Reason::Ok {
            let metadata = (!update.metadata.is_empty()).then_some(update.metadata);
            let name = (!update.name.is_empty()).then_some(update.name);
            self.change_metadata(sid, name, metadata, update.attributes);
        }
        if request_id != 0 || reason != Reason::Ok {
            let response = proto::RequestResponse { request_id, reason: reason as i32, ..Default::default() };
            self.signal(sid, Message::RequestResponse(response));
        }
    }

    /// Applies a change that was found legal. An attribute set to the empty string is deleted.
    pub(crate) fn change_metadata(
        &mut self,
        sid: &ParticipantSid,
        name: Option<String>,
        metadata: Option<String>,
        attributes: HashMap<String, String>,
    ) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        if let Some(name) = name {
            participant.name = name;
        }
        if let Some(metadata) = metadata {
            participant.metadata = metadata;
        }
        for (key, value) in attributes {
            if value.is_empty() {
                participant.attributes.remove(&key);
            } else {
                participant.attributes.insert(key, value);
            }
        }
        self.bump(sid);
        self.broadcast_update(sid, true);
        self.outputs.push_back(Output::TokenChanged { of: sid.clone() });
    }

    /// Replaces the whole permission set, live: revoked tracks are unpublished, subscriptions follow.
    pub(crate) fn change_permission(
        &mut self,
        sid: &ParticipantSid,
        permission: proto::ParticipantPermission,
    ) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        if participant.permission == permission {
            return;
        }
        let revoked: Vec<_> = participant
            .tracks
            .iter()
            .filter(|track| !may_publish(&permission, track.info.source))
            .map(|track| track.sid.clone())
            .collect();
        participant.pending.retain(|pending| may_publish(&permission, pending.info.source));
        participant.permission = permission;
        self.bump(sid);
        self.broadcast_update(sid, true);
        self.outputs.push_back(Output::TokenChanged { of: sid.clone() });
        for track in revoked {
            self.unpublish(sid, &track, true);
        }
        self.subscribe_to_everything(sid);
        self.review_data_permission(sid);
    }
}

/// Whether a change keeps names, metadata and the resulting attributes within limits.
pub(crate) fn metadata_fits(
    name: &str,
    metadata: &str,
    change: &HashMap<String, String>,
    current: &BTreeMap<String, String>,
) -> bool {
    let kept = current.iter().filter(|(key, _)| !change.contains_key(*key));
    let bytes: usize = kept.chain(change.iter()).map(|(key, value)| key.len() + value.len()).sum();
    name.len() <= limit::NAME_BYTES
        && metadata.len() <= limit::METADATA_BYTES
        && bytes <= limit::ATTRIBUTES_BYTES
}
