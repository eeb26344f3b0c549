//! Data packets: stamping, permissions and routing (livekit-protocol §3). The payload is never interpreted further.

use std::collections::BTreeSet;
use std::sync::Arc;

use aura_types::ParticipantSid;
use livekit_protocol as proto;
use prost::Message as _;
use proto::data_packet::Value;

use super::participant::Participant;
use super::room::Room;
use super::{DataChannel, Output, limit};

/// Nonces remembered per participant, for de-duplication of user packets.
const NONCES: usize = 100;

/// Why a packet went nowhere; counted, never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataRefusal {
    Malformed,
    NotAllowed,
    TooLarge,
    Duplicate,
    /// A data-track packet under a handle the sender publishes nothing by.
    UnknownTrack,
    /// The sender has sent more than it may.
    OverBudget,
}

impl Room {
    /// A packet from a participant's data channel.
    pub(crate) fn data_received(
        &mut self,
        from: &ParticipantSid,
        channel: DataChannel,
        bytes: &[u8],
    ) -> Result<(), DataRefusal> {
        if bytes.len() > limit::DATA_BYTES {
            return Err(DataRefusal::TooLarge);
        }
        let mut packet = proto::DataPacket::decode(bytes).map_err(|_| DataRefusal::Malformed)?;
        let sender = self.participants.get_mut(from).ok_or(DataRefusal::NotAllowed)?;
        if channel == DataChannel::Reliable && packet.sequence > 0 {
            if packet.sequence <= sender.last_reliable_sequence {
                return Err(DataRefusal::Duplicate);
            }
            sender.last_reliable_sequence = packet.sequence;
        }
        if !sender.permission.can_publish_data {
            return Err(DataRefusal::NotAllowed);
        }
        stamp(&mut packet, sender)?;
        self.route(&packet, channel, Some(from));
        Ok(())
    }

    /// A raw message on a channel the protocol does not know: re-sent as a user packet.
    pub(crate) fn raw_data_received(
        &mut self,
        from: &ParticipantSid,
        payload: Vec<u8>,
    ) -> Result<(), DataRefusal> {
        let packet = proto::DataPacket {
            value: Some(Value::User(proto::UserPacket { payload, ..Default::default() })),
            ..Default::default()
        };
        self.data_received(from, DataChannel::Reliable, &packet.encode_to_vec())
    }

    /// Sends a packet to those it is for: everyone but the sender, or the named destinations.
    pub(crate) fn route(
        &mut self,
        packet: &proto::DataPacket,
        channel: DataChannel,
        from: Option<&ParticipantSid>,
    ) {
        let payload: Arc<[u8]> = packet.encode_to_vec().into();
        let destinations = &packet.destination_identities;
        let to_sids: &[String] = match &packet.value {
            Some(Value::User(user)) => &user.destination_sids,
            _ => &[],
        };
        let everyone = destinations.is_empty() && to_sids.is_empty();
        let named = destinations
            .iter()
            .take(limit::DESTINATIONS)
            .filter_map(|identity| self.by_identity(identity))
            .chain(
                to_sids
                    .iter()
                    .take(limit::DESTINATIONS)
                    .filter_map(|sid| self.participants.get(sid.as_str())),
            );
        // Looked up, not compared with everyone: a packet has room for thousands of names.
        let to: BTreeSet<_> = match everyone {
            true => self.participants.keys().cloned().collect(),
            false => named.map(|participant| participant.sid.clone()).collect(),
        };
        for to in to.into_iter().filter(|to| Some(to) != from) {
            self.outputs.push_back(Output::Data { to, channel, payload: Arc::clone(&payload) });
        }
    }
}

/// Writes who sent it into the packet, so that nobody can speak for another, and rejects what clients may not send.
fn stamp(packet: &mut proto::DataPacket, sender: &mut Participant) -> Result<(), DataRefusal> {
    let hidden = sender.is_hidden();
    let identity = if hidden { String::new() } else { sender.identity.clone() };
    let sid = if hidden { String::new() } else { sender.sid.to_string() };
    let is_agent = sender.is_agent();
    match &mut packet.value {
        None => return Err(DataRefusal::Malformed),
        Some(Value::User(user)) => {
            if !user.nonce.is_empty() {
                if user.nonce.len() != 16 || sender.recent_nonces.contains(&user.nonce) {
                    return Err(DataRefusal::Duplicate);
                }
                sender.recent_nonces.push_back(user.nonce.clone());
                if sender.recent_nonces.len() > NONCES {
                    sender.recent_nonces.pop_front();
                }
            }
            // Clients older than `DataPacket.participant_identity` read and write these.
            user.participant_sid.clone_from(&sid);
            user.participant_identity.clone_from(&identity);
            if packet.destination_identities.is_empty() {
                packet.destination_identities = std::mem::take(&mut user.destination_identities);
            }
        }
        Some(Value::Transcription(_)) if !is_agent => return Err(DataRefusal::NotAllowed),
        // The server speaks for speakers and collects metrics; neither is relayed from clients.
        Some(Value::Speaker(_) | Value::Metrics(_)) => return Err(DataRefusal::NotAllowed),
        Some(_) => {}
    }
    let speaks_for_another = is_agent
        && !packet.participant_identity.is_empty()
        && matches!(
            packet.value,
            Some(
                Value::ChatMessage(_)
                    | Value::StreamHeader(_)
                    | Value::StreamChunk(_)
                    | Value::StreamTrailer(_)
                    | Value::Transcription(_)
            )
        );
    if !speaks_for_another {
        packet.participant_identity = identity;
    }
    packet.participant_sid = sid;
    Ok(())
}
