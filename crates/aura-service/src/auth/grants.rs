//! What an access token allows, with LiveKit's names and its rules for absent fields.

use serde::{Deserialize, Serialize};

/// The `video` grant. Absent permissions have meanings of their own: use the methods, not the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VideoGrants {
    /// May create and delete rooms.
    #[serde(skip_serializing_if = "is_false")]
    pub room_create: bool,
    /// May list rooms.
    #[serde(skip_serializing_if = "is_false")]
    pub room_list: bool,
    /// May record.
    #[serde(skip_serializing_if = "is_false")]
    pub room_record: bool,
    /// May administer [`Self::room`].
    #[serde(skip_serializing_if = "is_false")]
    pub room_admin: bool,
    /// May join [`Self::room`].
    #[serde(skip_serializing_if = "is_false")]
    pub room_join: bool,
    /// The room the token is for, by name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub room: String,
    /// The room a participant may be forwarded or moved to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub destination_room: String,
    /// May publish tracks. Absent: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// May subscribe to tracks. Absent: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// May send data. Absent: as [`Self::can_publish`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish_data: Option<bool>,
    /// The only sources that may be published (`camera`, `microphone`, `screen_share`,
    /// `screen_share_audio`). Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub can_publish_sources: Vec<String>,
    /// May change its own name, metadata and attributes. Absent: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_update_own_metadata: Option<bool>,
    /// May subscribe to metrics. Absent: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe_metrics: Option<bool>,
    /// May manage agent sessions. Absent: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_manage_agent_session: Option<bool>,
    /// May administer ingresses.
    #[serde(skip_serializing_if = "is_false")]
    pub ingress_admin: bool,
    /// Not shown to other participants.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// Records the room.
    #[serde(skip_serializing_if = "is_false")]
    pub recorder: bool,
    /// May register as an agent worker.
    #[serde(skip_serializing_if = "is_false")]
    pub agent: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl VideoGrants {
    /// Whether tracks may be published.
    #[must_use]
    pub fn can_publish(&self) -> bool {
        self.can_publish.unwrap_or(true)
    }

    /// Whether tracks may be subscribed to.
    #[must_use]
    pub fn can_subscribe(&self) -> bool {
        self.can_subscribe.unwrap_or(true)
    }

    /// Whether data may be sent.
    #[must_use]
    pub fn can_publish_data(&self) -> bool {
        self.can_publish_data.unwrap_or_else(|| self.can_publish())
    }

    /// Whether a track of `source` (lowercase, as in the token) may be published.
    #[must_use]
    pub fn can_publish_source(&self, source: &str) -> bool {
        self.can_publish()
            && (self.can_publish_sources.is_empty()
                || self.can_publish_sources.iter().any(|allowed| allowed.eq_ignore_ascii_case(source)))
    }

    /// Whether the participant may change its own name, metadata and attributes.
    #[must_use]
    pub fn can_update_own_metadata(&self) -> bool {
        self.can_update_own_metadata.unwrap_or(false)
    }

    /// Whether metrics may be subscribed to.
    #[must_use]
    pub fn can_subscribe_metrics(&self) -> bool {
        self.can_subscribe_metrics.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_permissions_follow_livekit() {
        let grants: VideoGrants = serde_json::from_str(r#"{"roomJoin":true,"room":"r"}"#).unwrap();
        assert!(grants.can_publish() && grants.can_subscribe() && grants.can_publish_data());
        assert!(!grants.can_update_own_metadata());
        let grants: VideoGrants = serde_json::from_str(r#"{"canPublish":false}"#).unwrap();
        assert!(!grants.can_publish() && grants.can_subscribe() && !grants.can_publish_data());
        let grants: VideoGrants =
            serde_json::from_str(r#"{"canPublish":false,"canPublishData":true}"#).unwrap();
        assert!(grants.can_publish_data());
    }

    #[test]
    fn sources_narrow_publishing() {
        let grants: VideoGrants =
            serde_json::from_str(r#"{"canPublishSources":["camera","microphone"]}"#).unwrap();
        assert!(grants.can_publish_source("camera"));
        assert!(grants.can_publish_source("MICROPHONE"));
        assert!(!grants.can_publish_source("screen_share"));
        assert!(VideoGrants::default().can_publish_source("screen_share"));
    }

    #[test]
    fn only_what_is_set_is_written() {
        let grants = VideoGrants { room_join: true, room: "r".into(), ..Default::default() };
        assert_eq!(serde_json::to_string(&grants).unwrap(), r#"{"roomJoin":true,"room":"r"}"#);
    }
}
