//! Data tracks: frames of bytes, sent soon or never.
//!
//! Packets are numbered by the track, not by the connection, so numbers go on across a reconnect. Nothing here waits for
//! the network: a frame that cannot go now is dropped, and a reader that stalls resumes near the present.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use aura_types::SharedClock;
use bytes::BytesMut;
use livekit_protocol as proto;
use tokio::sync::Notify;
use webrtc::data_channel::DataChannel;

use crate::error::{Result, RoomError};
use crate::frame::{DataFrame, DataPacketizer, MAX_FRAME_BYTES};
use crate::track::Written;
use crate::transport::is_lost;

/// What may be under way to the server before frames are dropped, in bytes.
const BEHIND_BYTES: usize = 64 * 1024;
/// Frames that wait for a reader.
const QUEUE_FRAMES: usize = 256;

/// A data track somebody publishes, as last reported by the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataPublication {
    /// Track id (`DTR_…`); a new one for every session of its publisher.
    pub sid: String,
    /// Name given by the publisher, unique among its data tracks.
    pub name: String,
    /// Whether payloads are encrypted from end to end.
    pub encrypted: bool,
}

impl From<proto::DataTrackInfo> for DataPublication {
    fn from(info: proto::DataTrackInfo) -> Self {
        let encrypted = info.encryption() != proto::encryption::Type::None;
        Self { sid: info.sid, name: info.name, encrypted }
    }
}

/// A data track we publish. Cheap to clone; clones are the same track.
#[derive(Debug, Clone)]
pub struct LocalDataTrack {
    inner: Arc<Local>,
}

struct Local {
    name: String,
    handle: u16,
    packetizer: tokio::sync::Mutex<DataPacketizer>,
    link: RwLock<Option<Arc<dyn DataChannel>>>,
    sid: Mutex<Option<String>>,
    simulated_loss: f32,
    clock: SharedClock,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalDataTrack").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LocalDataTrack {
    pub(crate) fn new(name: String, handle: u16, simulated_loss: f32, clock: SharedClock) -> Self {
        let packetizer = DataPacketizer::new(handle, rand::random(), clock.monotonic());
        let inner = Local {
            name,
            handle,
            packetizer: tokio::sync::Mutex::new(packetizer),
            link: RwLock::new(None),
            sid: Mutex::new(None),
            simulated_loss,
            clock,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The id the server knows it by; changes with every session, `None` while it is not published.
    #[must_use]
    pub fn sid(&self) -> Option<String> {
        self.inner.sid.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a frame now or drops it: the track is not published, the room reconnects, or the network is behind.
    ///
    /// # Errors
    ///
    /// The frame is larger than data tracks can carry (2 MB).
    pub async fn push(&self, frame: impl Into<DataFrame>) -> Result<Written> {
        let frame = frame.into();
        let size = frame.payload.len();
        if size > MAX_FRAME_BYTES {
            return Err(RoomError::TooLarge { size, limit: MAX_FRAME_BYTES });
        }
        // Held until all is sent, so that frames of two pushers do not mix.
        let mut packetizer = self.inner.packetizer.lock().await;
        let packets = packetizer.packetize(&frame, self.inner.clock.monotonic());
        let link = self.inner.link.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(channel) = link else { return Ok(Written::Dropped) };
        if channel.outstanding_bytes().await.is_ok_and(|bytes| bytes > BEHIND_BYTES) {
            return Ok(Written::Dropped);
        }
        for packet in packets {
            if is_lost(self.inner.simulated_loss) {
                continue;
            }
            if let Err(error) = channel.try_send(BytesMut::from(&packet[..])).await {
                tracing::debug!(%error, track = self.inner.name, "data frame dropped");
                return Ok(Written::Dropped);
            }
        }
        Ok(Written::Sent)
    }

    pub(crate) fn handle(&self) -> u16 {
        self.inner.handle
    }

    pub(crate) fn set_sid(&self, sid: Option<String>) {
        *self.inner.sid.lock().unwrap_or_else(PoisonError::into_inner) = sid;
    }

    /// The channel frames leave by; none while the track is not published.
    pub(crate) fn set_link(&self, channel: Option<Arc<dyn DataChannel>>) {
        *self.inner.link.write().unwrap_or_else(PoisonError::into_inner) = channel;
    }
}

/// A data track we receive. Cheap to clone; clones share one queue, so each frame reaches one of them.
#[derive(Debug, Clone)]
pub struct RemoteDataTrack {
    inner: Arc<Remote>,
}

#[derive(Debug)]
struct Remote {
    publication: DataPublication,
    identity: String,
    queue: Mutex<Queue>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<DataFrame>,
    dropped: u64,
    ended: bool,
}

impl RemoteDataTrack {
    pub(crate) fn new(publication: DataPublication, identity: String) -> Self {
        let inner = Remote { publication, identity, queue: Mutex::default(), ready: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    /// What was published.
    #[must_use]
    pub fn publication(&self) -> &DataPublication {
        &self.inner.publication
    }

    /// Its publisher's identity.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.inner.identity
    }

    /// Whole frames dropped because nobody read them in time. What the network lost is not among them.
    #[must_use]
    pub fn dropped_frames(&self) -> u64 {
        self.lock().dropped
    }

    /// The next frame that arrived whole; `None` once the track ended: it was unpublished, its publisher left or came
    /// back in a new session, or we unsubscribed. A new session of our own does not end it.
    ///
    /// Cancel safe.
    pub async fn next(&self) -> Option<DataFrame> {
        loop {
            let ready = self.inner.ready.notified();
            {
                let mut queue = self.lock();
                if let Some(frame) = queue.frames.pop_front() {
                    return Some(frame);
                }
                if queue.ended {
                    return None;
                }
            }
            ready.await;
        }
    }

    pub(crate) fn push(&self, frame: DataFrame) {
        {
            let mut queue = self.lock();
            if queue.frames.len() >= QUEUE_FRAMES {
                queue.frames.pop_front();
                queue.dropped += 1;
            }
            queue.frames.push_back(frame);
        }
        self.inner.ready.notify_one();
    }

    pub(crate) fn end(&self) {
        self.lock().ended = true;
        // Whoever waits, on however many clones.
        self.inner.ready.notify_waiters();
        self.inner.ready.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stalled_reader_resumes_near_the_present_and_learns_the_end() {
        let track = RemoteDataTrack::new(DataPublication::default(), "ann".into());
        let count = u8::try_from(QUEUE_FRAMES - 1).expect("small");
        for fill in 0..=count {
            track.push(vec![fill].into());
        }
        for fill in 0..10 {
            track.push(vec![fill].into());
        }
        track.end();
        assert_eq!(track.next().await, Some(vec![10].into()));
        assert_eq!(track.dropped_frames(), 10);
        let mut frames = 1;
        while track.next().await.is_some() {
            frames += 1;
        }
        assert_eq!(frames, QUEUE_FRAMES);
    }

    #[tokio::test]
    async fn an_unpublished_track_drops_frames_and_refuses_giants() {
        let track = LocalDataTrack::new("x".into(), 1, 0.0, aura_types::SystemClock::shared());
        assert_eq!(track.push(vec![1]).await.expect("fits"), Written::Dropped);
        assert!(matches!(track.push(vec![0; 3_000_000]).await, Err(RoomError::TooLarge { .. })));
    }
}
