//! Receiving: AIC or Opus in, PCM out, one piece every 20 ms.
//!
//! Packets go into the jitter buffer as they arrive; playout is paced here. What is lost is concealed: the stream of PCM
//! has no holes until the track ends.

use std::time::{Duration, Instant};

use aic_codec::Model;
use aic_codec::opus::OpusError;
use aic_codec::stream::{self, Played, Receiver};
use aura_media::Codec;
use aura_types::{Clock as _, SystemClock};

use super::SAMPLES;
use crate::frame::RtpPacket;
use crate::track::RemoteTrack;

/// One piece of playout.
const PERIOD: Duration = Duration::from_millis(20);
/// A reader that stops for longer goes on from now instead of catching up.
const CATCH_UP: Duration = Duration::from_millis(200);

/// Plays one subscribed track.
pub struct AicPlayer {
    track: RemoteTrack,
    /// Away only while it decodes.
    receiver: Option<Receiver>,
    due: Option<Instant>,
    stats: PlayerStats,
}

/// What a player has received and played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlayerStats {
    /// Packets of AIC.
    pub aic_packets: u64,
    /// Their payload, bytes.
    pub aic_bytes: u64,
    /// Packets of Opus.
    pub opus_packets: u64,
    /// Their payload, bytes.
    pub opus_bytes: u64,
    /// Packets that were neither, or malformed.
    pub refused: u64,
    /// Pieces of 20 ms given out after the first packet.
    pub periods: u64,
    /// Of those, made up for what did not arrive.
    pub concealed: u64,
    /// Of those, played from the copy in a later packet of AIC.
    pub redundant: u64,
    /// Packets of Opus that were lost and taken from the one after (RFC 2198).
    pub recovered: u64,
}

impl std::fmt::Debug for AicPlayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AicPlayer").field("track", &self.track).finish_non_exhaustive()
    }
}

impl AicPlayer {
    /// Plays `track` with AIC of `model`, at least `playout_ms` behind its packets.
    ///
    /// # Errors
    /// The decoders cannot be made.
    pub fn new(track: RemoteTrack, model: &Model, playout_ms: u32) -> Result<Self, OpusError> {
        Ok(Self {
            track,
            receiver: Some(Receiver::new(model, playout_ms)?),
            due: None,
            stats: PlayerStats::default(),
        })
    }

    /// The track it plays.
    #[must_use]
    pub fn track(&self) -> &RemoteTrack {
        &self.track
    }

    /// What was received and played so far.
    #[must_use]
    pub fn stats(&self) -> PlayerStats {
        PlayerStats { recovered: self.track.recovered_packets(), ..self.stats }
    }

    /// The next 20 ms of 48 kHz mono, when they are due; `None` once the track ended.
    ///
    /// Not cancel safe: a cancelled call loses its piece.
    pub async fn next_pcm(&mut self) -> Option<[f32; SAMPLES]> {
        let now = SystemClock.monotonic();
        let due = match self.due {
            Some(due) if now < due + CATCH_UP => due,
            _ => now,
        };
        self.due = Some(due + PERIOD);
        loop {
            match tokio::time::timeout_at(due.into(), self.track.next_packet()).await {
                Ok(Some(packet)) => self.insert(&packet),
                Ok(None) => return None,
                Err(_) => break,
            }
        }
        let mut receiver = self.receiver.take()?;
        let (receiver, pcm, played) = tokio::task::spawn_blocking(move || {
            let mut pcm = [0.0; SAMPLES];
            let played = receiver.pull(&mut pcm);
            (receiver, pcm, played)
        })
        .await
        .ok()?;
        self.receiver = Some(receiver);
        self.stats.periods += u64::from(played != Played::Waiting);
        self.stats.concealed += u64::from(played == Played::Concealed);
        self.stats.redundant += u64::from(played == Played::Redundant);
        Some(pcm)
    }

    fn insert(&mut self, packet: &RtpPacket) {
        // Padding, which probes bandwidth.
        if packet.payload.is_empty() {
            return;
        }
        let bytes = packet.payload.len() as u64;
        let codec = match self.track.codec_of(packet) {
            Some(Codec::Aic) => stream::Codec::Aic,
            Some(Codec::Opus) => stream::Codec::Opus,
            _ => {
                self.stats.refused += 1;
                return;
            }
        };
        let Some(receiver) = &mut self.receiver else { return };
        if receiver.insert(codec, &packet.payload, packet.timestamp, packet.sequence).is_err() {
            self.stats.refused += 1;
            return;
        }
        let (packets, total) = match codec {
            stream::Codec::Aic => (&mut self.stats.aic_packets, &mut self.stats.aic_bytes),
            stream::Codec::Opus => (&mut self.stats.opus_packets, &mut self.stats.opus_bytes),
        };
        *packets += 1;
        *total += bytes;
    }
}
