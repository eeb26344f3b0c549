//! What happens in a room, in order.
//!
//! The queue is bounded: a reader that falls behind is told how many events it missed and re-reads the room's state.
//! The session never waits for a reader.

use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use crate::data_track::DataPublication;
use crate::participant::{
    ConnectionQuality, DisconnectReason, Participant, ParticipantPermission, Publication, RoomInfo, Speaker,
};
use crate::track::RemoteTrack;

/// Something that happened in the room.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RoomEvent {
    /// Someone joined.
    ParticipantConnected(Participant),
    /// Someone left.
    ParticipantDisconnected {
        /// Who, as last known.
        participant: Participant,
        /// Why, if the server said so.
        reason: DisconnectReason,
    },
    /// Metadata changed, ours included.
    MetadataChanged {
        /// With the new value.
        participant: Participant,
        /// The old value.
        previous: String,
    },
    /// The display name changed, ours included.
    NameChanged {
        /// With the new value.
        participant: Participant,
        /// The old value.
        previous: String,
    },
    /// Attributes changed, ours included.
    AttributesChanged {
        /// With the new values.
        participant: Participant,
        /// What changed; a removed key has an empty value.
        changed: HashMap<String, String>,
    },
    /// Our own permissions changed.
    PermissionsChanged(ParticipantPermission),
    /// Someone published a track.
    TrackPublished {
        /// The track.
        publication: Publication,
        /// Its publisher.
        participant: Participant,
    },
    /// Someone stopped publishing a track.
    TrackUnpublished {
        /// The track.
        publication: Publication,
        /// Its publisher.
        participant: Participant,
    },
    /// A track's media is on its way to us.
    TrackSubscribed {
        /// The media.
        track: RemoteTrack,
        /// What it is.
        publication: Publication,
        /// Its publisher.
        participant: Participant,
    },
    /// A track's media stopped.
    TrackUnsubscribed {
        /// The track's id.
        track_sid: String,
        /// Its publisher's identity.
        identity: String,
    },
    /// Someone published a data track; [`crate::Room::subscribe_data_track`] gets it.
    DataTrackPublished {
        /// The track.
        publication: DataPublication,
        /// Its publisher.
        participant: Participant,
    },
    /// Someone stopped publishing a data track.
    DataTrackUnpublished {
        /// The track.
        publication: DataPublication,
        /// Its publisher.
        participant: Participant,
    },
    /// The server took one of our data tracks away.
    LocalDataTrackUnpublished {
        /// The track's name.
        name: String,
    },
    /// The server could not subscribe us.
    TrackSubscriptionFailed {
        /// The track's id.
        track_sid: String,
        /// LiveKit's error name.
        error: &'static str,
    },
    /// The publisher lets us, or no longer lets us, subscribe to a track.
    SubscriptionPermissionChanged {
        /// The track's id.
        track_sid: String,
        /// Whether we may.
        allowed: bool,
    },
    /// A track was paused by its publisher.
    TrackMuted {
        /// The track.
        publication: Publication,
        /// Its publisher.
        participant: Participant,
    },
    /// A track was resumed by its publisher.
    TrackUnmuted {
        /// The track.
        publication: Publication,
        /// Its publisher.
        participant: Participant,
    },
    /// The server paused or resumed a track for lack of bandwidth.
    StreamStateChanged {
        /// The track's id.
        track_sid: String,
        /// Whether it is paused.
        paused: bool,
    },
    /// The server took one of our tracks away.
    LocalTrackUnpublished {
        /// The track's id.
        track_sid: String,
    },
    /// Somebody receives one of our tracks for the first time.
    LocalTrackSubscribed {
        /// The track's id.
        track_sid: String,
    },
    /// A moderator muted or unmuted one of our tracks.
    LocalTrackMuted {
        /// The track's id.
        track_sid: String,
        /// Whether it is muted now.
        muted: bool,
    },
    /// A viewer of our video needs a keyframe.
    KeyframeWanted {
        /// The track's id.
        track_sid: String,
    },
    /// The set or loudness of speakers changed; loudest first.
    ActiveSpeakersChanged(Vec<Speaker>),
    /// Someone's connection got better or worse, ours included.
    ConnectionQualityChanged {
        /// Whose.
        identity: String,
        /// How good it is.
        quality: ConnectionQuality,
    },
    /// Room metadata, recording state or counts changed.
    RoomUpdated {
        /// Now.
        room: RoomInfo,
        /// Before.
        previous: RoomInfo,
    },
    /// A data packet.
    DataReceived {
        /// Content.
        payload: Bytes,
        /// Topic, if any.
        topic: Option<String>,
        /// Sender's identity; `None` when the server sent it.
        from: Option<String>,
        /// Whether it came over the reliable channel.
        reliable: bool,
    },
    /// A complete text stream.
    TextReceived(TextMessage),
    /// A complete byte stream.
    BytesReceived(BytesMessage),
    /// A telephone key.
    DtmfReceived {
        /// RFC 4733 event code.
        code: u32,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: String,
        /// Sender's identity.
        from: Option<String>,
    },
    /// The connection broke and is being repaired.
    Reconnecting,
    /// The connection works again.
    Reconnected {
        /// True when the session survived; false when it was joined anew, with new ids.
        resumed: bool,
    },
    /// The room is over for us. Always the last event.
    Disconnected(DisconnectReason),
    /// Events were dropped because nobody read them.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// Text someone sent as a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct TextMessage {
    /// Stream id.
    pub id: String,
    /// Topic, such as `lk.chat`.
    pub topic: String,
    /// The text.
    pub text: String,
    /// Sender's identity.
    pub from: String,
    /// When it was sent, milliseconds since 1970 on the sender's clock.
    pub timestamp_ms: i64,
    /// Header and trailer attributes.
    pub attributes: HashMap<String, String>,
}

/// Bytes someone sent as a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct BytesMessage {
    /// Stream id.
    pub id: String,
    /// Topic.
    pub topic: String,
    /// File name.
    pub name: String,
    /// MIME type.
    pub mime_type: String,
    /// Content.
    pub payload: Bytes,
    /// Sender's identity.
    pub from: String,
    /// When it was sent, milliseconds since 1970 on the sender's clock.
    pub timestamp_ms: i64,
    /// Header and trailer attributes.
    pub attributes: HashMap<String, String>,
}

/// The events of one room, in order. Ends after [`RoomEvent::Disconnected`].
#[derive(Debug)]
pub struct EventStream {
    queue: mpsc::Receiver<RoomEvent>,
}

impl EventStream {
    /// The next event; `None` once the room is over.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<RoomEvent> {
        self.queue.recv().await
    }
}

impl Stream for EventStream {
    type Item = RoomEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RoomEvent>> {
        self.queue.poll_recv(cx)
    }
}

/// The session's end of the queue.
#[derive(Debug)]
pub(crate) struct EventSink {
    queue: mpsc::Sender<RoomEvent>,
    missed: u64,
}

impl EventSink {
    pub(crate) fn new(capacity: usize) -> (Self, EventStream) {
        // Two places are kept back: one for `Lagged`, one for `Disconnected`.
        let (sender, receiver) = mpsc::channel(capacity.max(1) + 2);
        (Self { queue: sender, missed: 0 }, EventStream { queue: receiver })
    }

    pub(crate) fn emit(&mut self, event: RoomEvent) {
        tracing::debug!(event = event.name(), "room event");
        if self.queue.capacity() <= 2 + usize::from(self.missed > 0) {
            self.missed += 1;
            return;
        }
        if self.missed > 0 {
            let missed = std::mem::take(&mut self.missed);
            let _ = self.queue.try_send(RoomEvent::Lagged { missed });
        }
        // A reader that is gone wants no events.
        let _ = self.queue.try_send(event);
    }

    /// The last event has a place of its own, so that no reader waits for ever.
    pub(crate) fn finish(mut self, reason: DisconnectReason) {
        if self.missed > 0 {
            let missed = std::mem::take(&mut self.missed);
            let _ = self.queue.try_send(RoomEvent::Lagged { missed });
        }
        let _ = self.queue.try_send(RoomEvent::Disconnected(reason));
    }
}

impl RoomEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::ParticipantConnected(_) => "participant_connected",
            Self::ParticipantDisconnected { .. } => "participant_disconnected",
            Self::MetadataChanged { .. } => "metadata_changed",
            Self::NameChanged { .. } => "name_changed",
            Self::AttributesChanged { .. } => "attributes_changed",
            Self::PermissionsChanged(_) => "permissions_changed",
            Self::TrackPublished { .. } => "track_published",
            Self::TrackUnpublished { .. } => "track_unpublished",
            Self::TrackSubscribed { .. } => "track_subscribed",
            Self::TrackUnsubscribed { .. } => "track_unsubscribed",
            Self::DataTrackPublished { .. } => "data_track_published",
            Self::DataTrackUnpublished { .. } => "data_track_unpublished",
            Self::LocalDataTrackUnpublished { .. } => "local_data_track_unpublished",
            Self::TrackSubscriptionFailed { .. } => "track_subscription_failed",
            Self::SubscriptionPermissionChanged { .. } => "subscription_permission_changed",
            Self::TrackMuted { .. } => "track_muted",
            Self::TrackUnmuted { .. } => "track_unmuted",
            Self::StreamStateChanged { .. } => "stream_state_changed",
            Self::LocalTrackUnpublished { .. } => "local_track_unpublished",
            Self::LocalTrackSubscribed { .. } => "local_track_subscribed",
            Self::LocalTrackMuted { .. } => "local_track_muted",
            Self::KeyframeWanted { .. } => "keyframe_wanted",
            Self::ActiveSpeakersChanged(_) => "active_speakers_changed",
            Self::ConnectionQualityChanged { .. } => "connection_quality_changed",
            Self::RoomUpdated { .. } => "room_updated",
            Self::DataReceived { .. } => "data_received",
            Self::TextReceived(_) => "text_received",
            Self::BytesReceived(_) => "bytes_received",
            Self::DtmfReceived { .. } => "dtmf_received",
            Self::Reconnecting => "reconnecting",
            Self::Reconnected { .. } => "reconnected",
            Self::Disconnected(_) => "disconnected",
            Self::Lagged { .. } => "lagged",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_missed_and_always_learns_the_end() {
        let (mut sink, mut stream) = EventSink::new(2);
        for _ in 0..5 {
            sink.emit(RoomEvent::Reconnecting);
        }
        sink.finish(DisconnectReason::RoomDeleted);
        let mut names = Vec::new();
        while let Some(event) = stream.next().await {
            if let RoomEvent::Lagged { missed } = event {
                assert_eq!(missed, 3);
            }
            names.push(event.name());
        }
        assert_eq!(names, ["reconnecting", "reconnecting", "lagged", "disconnected"]);
    }
}
