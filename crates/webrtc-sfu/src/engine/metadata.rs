//! Names, metadata, attributes and permissions, changed by their owner or by an administrator.
//!
//! A participant's renewed token carries name, metadata and attributes, and browsers put that token into an address to
//! reconnect: so together they may not outgrow what such an address holds (`token_allowance`).

use std::collections::HashMap;

use aura_types::ParticipantSid;
use livekit_protocol as proto;
use proto::request_response::Reason;

use super::participant::Participant;
use super::publish::may_publish;
use super::room::Room;
use super::{Output, limit};

impl Room {
    /// `update_metadata`: the participant changes itself, and is told whether it did.
    pub(crate) fn update_own_metadata(
        &mut self,
        sid: &ParticipantSid,
        update: proto::UpdateParticipantMetadata,
    ) {
        let Some(participant) = self.participants.get(sid) else { return };
        let excess = participant.excess(&update.name, &update.metadata, &update.attributes);
        let size = participant.own_bytes_after(&update);
        let in_time = self.may_announce(sid);
        let (reason, message) = match (participant.permission.can_update_metadata, excess) {
            (false, _) => (Reason::NotAllowed, "does not have permission to update own metadata"),
            (true, Some(excess)) => (Reason::LimitExceeded, excess.as_str()),
            (true, None) if !in_time => (Reason::LimitExceeded, "changes too much too often"),
            (true, None) if !self.has_room_for(sid, size) => {
                (Reason::LimitExceeded, "exceeds what the room's participants may say together")
            }
            (true, None) => (Reason::Ok, ""),
        };
        let request_id = update.request_id;
        // What is too long is not sent back.
        let echo = match reason {
            Reason::Ok | Reason::NotAllowed if excess.is_none() => update.clone(),
            _ => proto::UpdateParticipantMetadata { request_id, ..Default::default() },
        };
        if reason == Reason::Ok {
            let metadata = (!update.metadata.is_empty()).then_some(update.metadata);
            let name = (!update.name.is_empty()).then_some(update.name);
            self.change_metadata(sid, name, metadata, update.attributes);
        }
        let response = proto::RequestResponse {
            request_id,
            reason: reason as i32,
            message: message.to_owned(),
            request: Some(proto::request_response::Request::UpdateMetadata(echo)),
        };
        self.answer_request(sid, response);
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

/// What of a participant would be too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    Name,
    Metadata,
    Attributes,
}

impl Excess {
    /// LiveKit's words for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Name => "exceeds name length limit",
            Self::Metadata => "exceeds metadata size limit",
            Self::Attributes => "exceeds attributes size limit",
        }
    }

    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Metadata => "metadata",
            Self::Attributes => "attributes",
        }
    }
}

impl Participant {
    /// What a change would make too long. An empty text leaves what is there.
    pub(crate) fn excess(
        &self,
        name: &str,
        metadata: &str,
        attributes: &HashMap<String, String>,
    ) -> Option<Excess> {
        let name = if name.is_empty() { &self.name } else { name };
        let metadata = if metadata.is_empty() { &self.metadata } else { metadata };
        // Clients send the metadata along when they change their attributes.
        let changes_metadata = *metadata != self.metadata;
        let kept = self.attributes.iter().filter(|(key, _)| !attributes.contains_key(*key));
        let attributes: Vec<_> = kept.chain(attributes).map(|(key, value)| (&**key, &**value)).collect();
        let in_attributes: usize = attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
        if name.len() > limit::NAME_BYTES {
            Some(Excess::Name)
        } else if metadata.len() > limit::METADATA_BYTES {
            Some(Excess::Metadata)
        } else if in_attributes > limit::ATTRIBUTES_BYTES {
            Some(Excess::Attributes)
        } else if token_bytes(name, metadata, attributes) <= self.token_allowance {
            None
        } else if changes_metadata {
            Some(Excess::Metadata)
        } else {
            Some(Excess::Attributes)
        }
    }
}

impl Participant {
    /// Bytes of what the participant says of itself once the change is made.
    fn own_bytes_after(&self, update: &proto::UpdateParticipantMetadata) -> usize {
        let longer = |new: &str, old: &str| if new.is_empty() { old.len() } else { new.len() };
        let kept = self.attributes.iter().filter(|(key, _)| !update.attributes.contains_key(*key));
        let attributes = kept.chain(&update.attributes).map(|(key, value)| key.len() + value.len());
        longer(&update.name, &self.name)
            + longer(&update.metadata, &self.metadata)
            + attributes.sum::<usize>()
    }
}

/// Bytes name, metadata and attributes take as JSON.
pub(crate) fn token_bytes<'a>(
    name: &str,
    metadata: &str,
    attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> usize {
    // Quotation marks, colon and comma.
    const AROUND_A_PAIR: usize = 6;
    let pairs = attributes.into_iter().map(|(key, value)| escaped(key) + escaped(value) + AROUND_A_PAIR);
    escaped(name) + escaped(metadata) + pairs.sum::<usize>()
}

/// Bytes a text takes between the quotation marks of a JSON string.
fn escaped(text: &str) -> usize {
    let of = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(of).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_length_as_json_is_known_beforehand(
            name in ".{0,20}",
            metadata in "[\\x00-\\x7f\\u{20ac}]{0,200}",
            attributes in proptest::collection::btree_map(".{0,5}", "[\"a\\\\\n]{0,9}", 0..5),
        ) {
            let around = r#""name":"","metadata":"","attributes":{},"#.len();
            let pairs = attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            let counted = token_bytes(&name, &metadata, pairs);
            let json = serde_json::json!({ "name": name, "metadata": metadata, "attributes": BTreeMap::clone(&attributes) });
            let written = json.to_string().len() - around - 1;
            // The comma behind the last pair is not written.
            prop_assert_eq!(counted, written + usize::from(!attributes.is_empty()));
        }
    }
}
