//! Publishing: PCM in, AIC or Opus out.
//!
//! The encoder decides about quality, content and latency; this adds what only the connection knows: whether the other
//! side has our model, whether the server wants AIC now, and how many packets are lost. Encoding runs on the blocking
//! pool, so that a busy codec holds up no connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aic_codec::Model;
use aic_codec::control::Reason;
use aic_codec::opus::OpusError;
use aic_codec::payload::sdp::Limits;
use aic_codec::stream::{self, Feedback, Sender, Settings, State};
use aura_types::{Clock as _, SystemClock};
use bytes::Bytes;

use super::SAMPLES;
use crate::error::{Result, RoomError};
use crate::track::{AicPermission, Coded, LocalTrack, Written};

/// Waiting this long for a thread to encode on means that the machine has too much to do.
const OVERLOAD: Duration = Duration::from_millis(60);
/// How long Opus, which costs less, is sent then.
const RELIEF: Duration = Duration::from_secs(5);

/// A track that takes PCM. Cheap to clone; clones are the same track.
#[derive(Debug, Clone)]
pub struct AicTrack {
    track: LocalTrack,
    speaker: Arc<Mutex<Speaker>>,
}

struct Speaker {
    sender: Sender,
    /// What the application wants, and what the other side can follow.
    wishes: Settings,
    limits: Option<Limits>,
    born: Instant,
    enabled: bool,
    relieved_until: Option<Instant>,
    /// Timestamp after the last packet written, on the encoder's clock.
    cursor: u32,
    stats: SpeakerStats,
}

impl std::fmt::Debug for Speaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speaker").field("stats", &self.stats).finish_non_exhaustive()
    }
}

/// What a track has sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpeakerStats {
    /// Packets of AIC.
    pub aic_packets: u64,
    /// Their payload, bytes.
    pub aic_bytes: u64,
    /// Packets of Opus.
    pub opus_packets: u64,
    /// Their payload, bytes.
    pub opus_bytes: u64,
    /// Bytes of earlier Opus packets that were repeated beside them, at loss.
    pub copied_bytes: u64,
    /// How often AIC was given up for Opus, by reason, in the order of [`Reason::ALL`].
    pub fallbacks: Vec<(Reason, u64)>,
    /// Share of our packets the server last reported lost, 0 to 1.
    pub loss: f32,
}

impl SpeakerStats {
    /// How often this reason was why.
    #[must_use]
    pub fn fallbacks_for(&self, reason: Reason) -> u64 {
        self.fallbacks.iter().find(|(found, _)| *found == reason).map_or(0, |(_, count)| *count)
    }

    /// Payload of both codecs and of copies, bytes.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        self.aic_bytes + self.opus_bytes + self.copied_bytes
    }
}

impl AicTrack {
    /// A track that speaks AIC of `model` where it may, Opus where not.
    ///
    /// # Errors
    /// An encoder cannot be made with these settings.
    pub fn new(model: &Model, settings: Settings) -> std::result::Result<Self, OpusError> {
        let speaker = Speaker {
            sender: Sender::new(model, settings)?,
            wishes: settings,
            limits: None,
            born: SystemClock.monotonic(),
            enabled: true,
            relieved_until: None,
            cursor: 0,
            stats: SpeakerStats::default(),
        };
        Ok(Self { track: LocalTrack::opus(), speaker: Arc::new(Mutex::new(speaker)) })
    }

    /// What to publish, mute and unpublish with a [`Room`](crate::Room).
    #[must_use]
    pub fn track(&self) -> &LocalTrack {
        &self.track
    }

    /// Writes 20 ms of 48 kHz mono, ±1.
    ///
    /// The caller paces. Several packets, one or none leave: frames are bundled, silence is not sent, and at a change of
    /// codec one period goes out in both.
    ///
    /// # Errors
    /// The encoder failed, or a packet could not be built.
    pub async fn write(&self, pcm: &[f32; SAMPLES]) -> Result<Written> {
        let (speaker, permission, loss) =
            (Arc::clone(&self.speaker), self.track.aic_permission(), self.track.reported_loss());
        let (pcm, asked) = (Box::new(*pcm), SystemClock.monotonic());
        let packets =
            tokio::task::spawn_blocking(move || lock(&speaker).encode(&pcm, permission, loss, asked))
                .await
                .map_err(|_| RoomError::Closed)?
                .map_err(|error| RoomError::Codec(error.to_string()))?;
        let mut outcome = Written::Dropped;
        for coded in packets {
            let copy = coded.copy.as_ref().filter(|_| self.track.takes_copies());
            let copied = copy.map_or(0, |copy| copy.payload.len() as u64);
            let (aic, bytes) = (coded.aic, coded.payload.len() as u64);
            if self.track.write_coded(coded).await? == Written::Sent {
                lock(&self.speaker).stats.count(aic, bytes, copied);
                outcome = Written::Sent;
            }
        }
        Ok(outcome)
    }

    /// Switches AIC off, or on again: by hand, whatever the encoder and the server think.
    pub fn enable(&self, enabled: bool) {
        lock(&self.speaker).enabled = enabled;
    }

    /// Changes what the encoder must reach, from the next frame on.
    pub fn set(&self, settings: Settings) {
        let mut speaker = lock(&self.speaker);
        speaker.wishes = settings;
        speaker.settle();
    }

    /// What has been sent so far.
    #[must_use]
    pub fn stats(&self) -> SpeakerStats {
        let mut stats = lock(&self.speaker).stats.clone();
        stats.loss = self.track.reported_loss();
        stats
    }

    /// What the encoder does now: the codec, and why it is not AIC.
    #[must_use]
    pub fn state(&self) -> State {
        lock(&self.speaker).sender.state()
    }
}

impl Speaker {
    fn encode(
        &mut self,
        pcm: &[f32; SAMPLES],
        permission: Option<AicPermission>,
        loss: f32,
        asked: Instant,
    ) -> std::result::Result<Vec<Coded>, OpusError> {
        let (now, now_ms) = (SystemClock.monotonic(), self.now_ms());
        if now.saturating_duration_since(asked) > OVERLOAD {
            self.relieved_until = Some(now + RELIEF);
        }
        if let Some(AicPermission::Granted(limits)) = permission
            && self.limits != Some(limits)
        {
            self.limits = Some(limits);
            self.settle();
        }
        let overloaded = self.relieved_until.is_some_and(|until| now < until);
        // What is not published is encoded as it would be, so that the first packet is ready.
        let blocked = match permission {
            _ if !self.enabled => Some(Reason::Disabled),
            Some(AicPermission::OtherModel) => Some(Reason::ModelMismatch),
            Some(AicPermission::Unavailable) => Some(Reason::Unavailable),
            _ => overloaded.then_some(Reason::Overload),
        };
        self.sender.block(blocked);
        self.sender.feedback(now_ms, Feedback { loss, mean_burst: 1.0, available_bps: None });
        let packets = self.sender.push(pcm, now_ms)?;
        let took = SystemClock.monotonic().saturating_duration_since(now);
        self.sender.took(now_ms, took.as_secs_f32() * 1_000.0);
        self.stats.fallbacks =
            Reason::ALL.into_iter().map(|reason| (reason, self.sender.count(reason))).collect();
        Ok(packets.into_iter().map(|packet| self.place(packet)).collect())
    }

    fn settle(&mut self) {
        self.sender.set(self.limits.map_or(self.wishes, |limits| self.wishes.within(&limits)));
    }

    /// Puts a packet on the track's clock.
    fn place(&mut self, packet: stream::Packet) -> Coded {
        // At a change of codec two packets share a timestamp; one may even begin before the last one sent.
        let pause = packet.timestamp.wrapping_sub(self.cursor);
        self.cursor = self.cursor.wrapping_add(pause);
        Coded {
            aic: packet.codec == stream::Codec::Aic,
            payload: packet.payload,
            pause,
            samples: 0,
            level: Some((packet.level & 0x7f) | if packet.voice { 0x80 } else { 0 }),
            meta: packet.meta.map(|meta| Bytes::copy_from_slice(&meta)),
            copy: packet.copy,
            marker: packet.marker,
        }
    }

    fn now_ms(&self) -> u64 {
        let elapsed = SystemClock.monotonic().saturating_duration_since(self.born);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}

impl SpeakerStats {
    fn count(&mut self, aic: bool, bytes: u64, copied: u64) {
        let (packets, total) = match aic {
            true => (&mut self.aic_packets, &mut self.aic_bytes),
            false => (&mut self.opus_packets, &mut self.opus_bytes),
        };
        *packets += 1;
        *total += bytes;
        self.copied_bytes += copied;
    }
}

fn lock(speaker: &Mutex<Speaker>) -> MutexGuard<'_, Speaker> {
    speaker.lock().unwrap_or_else(PoisonError::into_inner)
}
