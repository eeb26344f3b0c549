//! 48 kHz samples in, AIC or Opus packets out.
//!
//! The change between the two happens at a packet's edge: the frame at which it is decided, and on the way back to AIC
//! those after it, are sent in both, so that the receiver can begin with the new codec while the old one still speaks.

use bytes::Bytes;

use crate::codec::{FRAME, Rate};
use crate::control::ladder::Opus as Setting;
use crate::control::{Decision, Reason, Settings};
use crate::model::Model;
use crate::opus::{Encoder, OpusError};
use crate::payload::meta::Meta;
use crate::payload::{TICKS_PER_FRAME, meta};
use crate::resample::{Down, FRAME_48K};

use super::{Codec, Earlier, Feedback, FrameSender, State, WARM};

/// How often the header extension is sent without need.
const META_MS: u64 = 1_000;

/// A packet to send. Sequence numbers are the caller's: consecutive, in this order, whatever the codec.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Which payload type.
    pub codec: Codec,
    /// The payload.
    pub payload: Bytes,
    /// At 48 kHz, of the first sample; the stream begins at 0. Packets of both codecs share the clock.
    pub timestamp: u32,
    /// Length in frames of 20 ms; 0 for a description of silence.
    pub frames: u8,
    /// The first packet of a talk spurt, or after a change of codec.
    pub marker: bool,
    /// RFC 6464's level: decibels below full scale, 0–127.
    pub level: u8,
    /// RFC 6464's voice flag.
    pub voice: bool,
    /// Data of the aic-meta extension, when due.
    pub meta: Option<[u8; meta::LEN]>,
    /// What the packet right before this one carried, to be sent again beside it (RFC 2198): only of Opus, in loss.
    pub copy: Option<Earlier>,
}

/// What a sender has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SenderStats {
    /// Packets of AIC.
    pub aic_packets: u64,
    /// Their payload bytes.
    pub aic_bytes: u64,
    /// Packets of Opus.
    pub opus_packets: u64,
    /// Their payload bytes.
    pub opus_bytes: u64,
    /// Frames pushed.
    pub frames: u64,
    /// Frames for which Opus was due.
    pub fallback_frames: u64,
    /// Frames at which the model failed.
    pub errors: u64,
}

/// One stream's sender.
#[derive(Debug)]
pub struct Sender {
    frames: FrameSender,
    down: Down,
    opus: Encoder,
    /// Opus input that does not fill a packet yet.
    pending: Vec<f32>,
    pending_level: u8,
    /// Opus follows on what was sent before.
    running: bool,
    /// Frames for which Opus still speaks beside AIC.
    overlap: u8,
    /// The packet before, where that was Opus.
    last_opus: Option<(u32, Bytes)>,
    marker: bool,
    level: u8,
    sent_meta: Option<(u64, Meta)>,
    stats: SenderStats,
}

impl Sender {
    /// A sender at the start of a stream.
    ///
    /// # Errors
    /// [`OpusError`] if libopus refuses, for lack of memory.
    pub fn new(model: &Model, settings: Settings) -> Result<Self, OpusError> {
        let frames = FrameSender::new(model, settings);
        let opus = Encoder::new(frames.controller().opus())?;
        Ok(Self {
            frames,
            down: Down::default(),
            opus,
            pending: Vec::new(),
            pending_level: 127,
            running: false,
            overlap: 0,
            last_opus: None,
            marker: true,
            level: 127,
            sent_meta: None,
            stats: SenderStats::default(),
        })
    }

    /// The next 20 ms at 48 kHz, full scale ±1. Returns what is to be sent now: usually one packet; none while a bundle
    /// fills and in silence; two where the codec changes.
    ///
    /// # Errors
    /// [`OpusError`] if libopus fails. That the model fails is no error: Opus is sent.
    pub fn push(&mut self, pcm: &[f32; FRAME_48K], now_ms: u64) -> Result<Vec<Packet>, OpusError> {
        let pcm = &pcm.map(|sample| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 });
        let index = self.frames.index();
        self.level = level(pcm);
        self.stats.frames += 1;
        let narrow: [f32; FRAME] = self.down.process(pcm);
        let before = self.frames.codec();
        let aic = self.frames.push(&narrow, now_ms).unwrap_or_else(|_| {
            self.stats.errors += 1;
            None
        });
        let after = self.frames.codec();
        let mut packets = Vec::new();
        self.marker |= after == Codec::Opus && before == Codec::Aic;
        if let Some(aic) = aic {
            self.last_opus = None;
            packets.push(Packet {
                codec: Codec::Aic,
                timestamp: aic.first_frame.wrapping_mul(TICKS_PER_FRAME),
                frames: aic.frames,
                marker: aic.marker,
                ..self.packet(aic.payload, now_ms)
            });
        }
        if after == Codec::Opus {
            self.stats.fallback_frames += 1;
        }
        // After the return Opus speaks on for a while, so that the decoder of AIC can warm up.
        self.overlap = match (before, after) {
            (_, Codec::Opus) => 0,
            (Codec::Opus, Codec::Aic) if self.running => WARM,
            (_, Codec::Aic) => self.overlap.saturating_sub(1),
        };
        if after == Codec::Opus || self.overlap > 0 {
            let flush = before != after || self.overlap > 0;
            if let Some((payload, frames)) = self.code_opus(pcm, flush)? {
                let first = index.wrapping_sub(u32::from(frames) - 1);
                let timestamp = first.wrapping_mul(TICKS_PER_FRAME);
                let packet = Packet {
                    codec: Codec::Opus,
                    timestamp,
                    frames,
                    marker: std::mem::take(&mut self.marker),
                    level: self.pending_level,
                    copy: self.copy_for(timestamp),
                    ..self.packet(payload, now_ms)
                };
                self.last_opus = Some((timestamp, packet.payload.clone()));
                packets.push(packet);
                self.pending_level = 127;
            }
        }
        self.running = after == Codec::Opus || self.overlap > 0;
        for packet in &packets {
            let (count, bytes) = match packet.codec {
                Codec::Aic => (&mut self.stats.aic_packets, &mut self.stats.aic_bytes),
                Codec::Opus => (&mut self.stats.opus_packets, &mut self.stats.opus_bytes),
            };
            *count += 1;
            *bytes += packet.payload.len() as u64;
        }
        Ok(packets)
    }

    /// Coding the last frame took `ms`.
    pub fn took(&mut self, now_ms: u64, ms: f32) {
        self.frames.took(now_ms, ms);
    }

    /// A receiver's report.
    pub fn feedback(&mut self, now_ms: u64, report: Feedback) {
        self.frames.feedback(now_ms, report);
    }

    /// What only the caller knows forbids AIC, from the very next packet, or no longer.
    pub fn block(&mut self, reason: Option<Reason>) {
        self.frames.block(reason);
    }

    /// Other wishes from now on; the stream goes on.
    pub fn set(&mut self, settings: Settings) {
        self.frames.set(settings);
    }

    /// What is happening.
    pub fn state(&self) -> State {
        self.frames.state()
    }

    /// What has happened.
    pub fn stats(&self) -> SenderStats {
        self.stats
    }

    /// How often AIC was left for `reason`.
    pub fn count(&self, reason: Reason) -> u64 {
        self.frames.count(reason)
    }

    /// An Opus packet, and how many frames it has, when one is full.
    fn code_opus(&mut self, pcm: &[f32; FRAME_48K], flush: bool) -> Result<Option<(Bytes, u8)>, OpusError> {
        let setting: Setting = self.frames.controller().opus();
        if !self.running {
            // The receiver's decoder begins here too.
            self.pending.clear();
            self.opus.reset()?;
        }
        self.opus.set(setting)?;
        self.pending.extend_from_slice(pcm);
        self.pending_level = self.pending_level.min(self.level);
        let held = self.pending.len() / FRAME_48K;
        // Packets have one, two or three frames.
        if !flush && held < usize::from(setting.ptime_ms / 20).clamp(1, 3) {
            return Ok(None);
        }
        let payload = self.opus.encode(&self.pending)?;
        self.pending.clear();
        Ok(Some((payload, held as u8)))
    }

    /// The packet before, where the ladder wants it repeated.
    fn copy_for(&self, timestamp: u32) -> Option<Earlier> {
        let (earlier, payload) =
            self.last_opus.as_ref().filter(|_| self.frames.controller().opus().red > 0)?;
        let ticks_back = u16::try_from(timestamp.wrapping_sub(*earlier)).ok()?;
        Some(Earlier { ticks_back, payload: payload.clone() })
    }

    fn packet(&mut self, payload: Bytes, now_ms: u64) -> Packet {
        let meta = self.meta(now_ms);
        Packet {
            codec: Codec::Aic,
            payload,
            timestamp: 0,
            frames: 0,
            marker: false,
            level: self.level,
            voice: self.frames.state().voice,
            meta,
            copy: None,
        }
    }

    /// On a change of codec, rate or reason, and once a second.
    fn meta(&mut self, now_ms: u64) -> Option<[u8; meta::LEN]> {
        let state = self.frames.state();
        let (rate, reason): (Option<Rate>, Option<Reason>) = match state.decision {
            Decision::Aic { rate, .. } => (Some(rate), None),
            Decision::Opus { reason, .. } => (None, Some(reason)),
        };
        let controller = self.frames.controller();
        let meta = Meta {
            mode: controller.settings().mode,
            rate,
            reason,
            score: (state.score.unwrap_or(0.0) * 255.0).round() as u8,
            encode_time: (controller.last_latency_ms().unwrap_or(0.0) * 10.0).round() as u8,
        };
        let due = self.sent_meta.is_none_or(|(at_ms, old)| {
            now_ms >= at_ms + META_MS
                || (old.mode, old.rate, old.reason) != (meta.mode, meta.rate, meta.reason)
        });
        due.then(|| {
            self.sent_meta = Some((now_ms, meta));
            meta.to_bytes()
        })
    }
}

/// Decibels below a full-scale square wave, as RFC 6464 wants it.
fn level(pcm: &[f32]) -> u8 {
    let power = pcm.iter().map(|s| s * s).sum::<f32>() / pcm.len() as f32;
    (-10.0 * power.max(1e-13).log10()).round().clamp(0.0, 127.0) as u8
}
