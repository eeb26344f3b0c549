//! LiveKit's Twirp JSON: snake_case with defaults written out, where the crate's own serialisation is camelCase
//! without them (livekit-protocol §8.8). Input is taken in either spelling.

use livekit_protocol as proto;
use serde_json::{Map, Value, json};

/// A reply as LiveKit's server writes it.
pub(crate) trait ToJson {
    fn to_json(&self) -> Value;
}

impl ToJson for proto::Room {
    fn to_json(&self) -> Value {
        json!({
            "sid": self.sid,
            "name": self.name,
            "empty_timeout": self.empty_timeout,
            "departure_timeout": self.departure_timeout,
            "max_participants": self.max_participants,
            "creation_time": self.creation_time.to_string(),
            "creation_time_ms": self.creation_time_ms.to_string(),
            "turn_password": self.turn_password,
            "enabled_codecs": self.enabled_codecs.iter().map(|codec| json!({
                "mime": codec.mime,
                "fmtp_line": codec.fmtp_line,
            })).collect::<Vec<_>>(),
            "metadata": self.metadata,
            "num_participants": self.num_participants,
            "num_publishers": self.num_publishers,
            "active_recording": self.active_recording,
        })
    }
}

impl ToJson for proto::ListRoomsResponse {
    fn to_json(&self) -> Value {
        json!({ "rooms": list(&self.rooms) })
    }
}

impl ToJson for proto::ListParticipantsResponse {
    fn to_json(&self) -> Value {
        json!({ "participants": list(&self.participants) })
    }
}

impl ToJson for proto::MuteRoomTrackResponse {
    fn to_json(&self) -> Value {
        json!({ "track": self.track.as_ref().map(ToJson::to_json) })
    }
}

impl ToJson for proto::ParticipantInfo {
    fn to_json(&self) -> Value {
        json!({
            "sid": self.sid,
            "identity": self.identity,
            "state": self.state().as_str_name(),
            "tracks": list(&self.tracks),
            "metadata": self.metadata,
            "joined_at": self.joined_at.to_string(),
            "joined_at_ms": self.joined_at_ms.to_string(),
            "name": self.name,
            "version": self.version,
            "permission": self.permission.as_ref().map(permission),
            "region": self.region,
            "is_publisher": self.is_publisher,
            "kind": self.kind().as_str_name(),
            "attributes": self.attributes,
            "disconnect_reason": self.disconnect_reason().as_str_name(),
            "kind_details": self.kind_details().map(|detail| detail.as_str_name()).collect::<Vec<_>>(),
        })
    }
}

impl ToJson for proto::TrackInfo {
    fn to_json(&self) -> Value {
        json!({
            "sid": self.sid,
            "type": self.r#type().as_str_name(),
            "name": self.name,
            "muted": self.muted,
            "width": self.width,
            "height": self.height,
            "simulcast": self.simulcast,
            "disable_dtx": self.disable_dtx,
            "source": self.source().as_str_name(),
            "layers": self.layers.iter().map(layer).collect::<Vec<_>>(),
            "mime_type": self.mime_type,
            "mid": self.mid,
            "codecs": self.codecs.iter().map(|codec| json!({
                "mime_type": codec.mime_type,
                "mid": codec.mid,
                "cid": codec.cid,
                "layers": codec.layers.iter().map(layer).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "stereo": self.stereo,
            "disable_red": self.disable_red,
            "encryption": self.encryption().as_str_name(),
            "stream": self.stream,
            "audio_features": self.audio_features().map(|feature| feature.as_str_name()).collect::<Vec<_>>(),
            "backup_codec_policy": self.backup_codec_policy().as_str_name(),
        })
    }
}

macro_rules! empty_replies {
    ($($name:ident)+) => {$(
        impl ToJson for proto::$name {
            fn to_json(&self) -> Value {
                Value::Object(Map::new())
            }
        }
    )+};
}

empty_replies! { DeleteRoomResponse RemoveParticipantResponse UpdateSubscriptionsResponse SendDataResponse }

fn list<T: ToJson>(items: &[T]) -> Vec<Value> {
    items.iter().map(ToJson::to_json).collect()
}

fn layer(layer: &proto::VideoLayer) -> Value {
    json!({
        "quality": layer.quality().as_str_name(),
        "width": layer.width,
        "height": layer.height,
        "bitrate": layer.bitrate,
        "ssrc": layer.ssrc,
    })
}

fn permission(permission: &proto::ParticipantPermission) -> Value {
    json!({
        "can_subscribe": permission.can_subscribe,
        "can_publish": permission.can_publish,
        "can_publish_data": permission.can_publish_data,
        "can_publish_sources": permission.can_publish_sources().map(|s| s.as_str_name()).collect::<Vec<_>>(),
        "hidden": permission.hidden,
        "recorder": permission.recorder,
        "can_update_metadata": permission.can_update_metadata,
        "agent": permission.agent,
        "can_subscribe_metrics": permission.can_subscribe_metrics,
        "can_manage_agent_session": permission.can_manage_agent_session,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_snake_case_with_defaults_and_readable_by_the_crate() {
        let room = proto::Room {
            sid: "RM_x".into(),
            name: "hall".into(),
            creation_time_ms: 5,
            ..Default::default()
        };
        let value = room.to_json();
        assert_eq!(value["num_participants"], 0);
        assert_eq!(value["creation_time_ms"], "5", "64-bit integers are strings in protobuf's JSON");
        assert_eq!(serde_json::from_value::<proto::Room>(value).unwrap(), room);
        let camel: proto::CreateRoomRequest =
            serde_json::from_value(json!({ "name": "a", "emptyTimeout": 7 })).unwrap();
        let snake: proto::CreateRoomRequest =
            serde_json::from_value(json!({ "name": "a", "empty_timeout": 7 })).unwrap();
        assert_eq!((camel.empty_timeout, snake.empty_timeout), (7, 7));
    }
}
