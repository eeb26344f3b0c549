//! AIC and Opus packets of one stream in, 48 kHz samples out.
//!
//! AIC is 12.5 ms late, Opus 6.5: Opus is held back by the difference, so that both say the same at the same time.
//! Where packets of the other codec appear, the frame is decoded by both and its end cross-faded: at once towards Opus,
//! after ten frames towards AIC, whose decoder needs the past.

use bytes::Bytes;

use crate::codec::FRAME;
use crate::model::Model;
use crate::opus::{self, Decoder, MAX_SAMPLES, OpusError};
use crate::payload::{Payload, PayloadError, TICKS_PER_FRAME};
use crate::quality::DECODER_DELAY;
use crate::resample::{FRAME_48K, Up};

use super::playout::{Coded, Due, Playout, Slot};
use super::voice::{Frame, Voice};
use super::{Codec, Played, WARM};

/// How late a sender's and a receiver's AIC path is beyond the frame: two resamplers of 1.25 ms and the overlap.
const AIC_DELAY: usize = 60 + 60 + 3 * DECODER_DELAY;
/// So much is Opus held back.
const HOLD: usize = AIC_DELAY - opus::DELAY;
/// A change takes 5 ms.
const CROSS: usize = 240;

/// Why a packet was refused.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    /// No AIC payload.
    #[error(transparent)]
    Aic(#[from] PayloadError),
    /// No Opus packet.
    #[error(transparent)]
    Opus(#[from] OpusError),
    /// Opus in packets that are not a multiple of 20 ms.
    #[error("Opus packets of {0} samples are not supported: only multiples of 20 ms")]
    Length(usize),
}

/// What a receiver has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReceiverStats {
    /// Packets of AIC.
    pub aic_packets: u64,
    /// Packets of Opus.
    pub opus_packets: u64,
    /// Packets that were refused.
    pub refused: u64,
    /// Packets that came after their time.
    pub late: u64,
    /// Gaps in the sequence numbers, minus what came after all.
    pub lost: u64,
    /// Frames played from copies.
    pub redundant: u64,
    /// Frames that were invented.
    pub concealed: u64,
    /// Changes of codec.
    pub switches: u64,
}

/// One stream's receiver.
#[derive(Debug)]
pub struct Receiver {
    playout: Playout,
    /// Timestamp of the first packet: index 0 … and where indices count from.
    origin: Option<u32>,
    voice: Voice,
    up: Up,
    opus: OpusPath,
    playing: Option<Codec>,
    /// Frames that AIC has decoded unheard, on the way back from Opus.
    warm: u8,
    /// AIC came in place of the last packet of Opus.
    missed: bool,
    silent: bool,
    /// Copies in the newest AIC packet of frames that are past: a cold decoder begins with them.
    primer: Vec<Coded>,
    sequence: Option<(u64, u64, u64)>,
    stats: ReceiverStats,
}

/// The decoder of Opus, what it has decoded ahead, and the line that makes it as late as AIC.
#[derive(Debug)]
struct OpusPath {
    decoder: Decoder,
    ready: Vec<f32>,
    held: [f32; HOLD],
    scratch: Box<[f32; MAX_SAMPLES]>,
}

impl Receiver {
    /// Begins `playout_ms` after the first packet; adapts from there.
    ///
    /// # Errors
    /// [`OpusError`] if libopus refuses, for lack of memory.
    pub fn new(model: &Model, playout_ms: u32) -> Result<Self, OpusError> {
        let opus = OpusPath {
            decoder: Decoder::new()?,
            ready: Vec::new(),
            held: [0.0; HOLD],
            scratch: Box::new([0.0; MAX_SAMPLES]),
        };
        Ok(Self {
            playout: Playout::new(playout_ms),
            origin: None,
            voice: Voice::new(model),
            up: Up::default(),
            opus,
            playing: None,
            warm: 0,
            missed: false,
            silent: false,
            primer: Vec::new(),
            sequence: None,
            stats: ReceiverStats::default(),
        })
    }

    /// A packet, in any order.
    ///
    /// # Errors
    /// [`PacketError`] for what is no packet of `codec`; only the count of refused packets changes then.
    pub fn insert(
        &mut self,
        codec: Codec,
        payload: &[u8],
        timestamp: u32,
        sequence: u16,
    ) -> Result<(), PacketError> {
        let filed = self.file(codec, payload, timestamp);
        match filed {
            Ok(()) => self.count(sequence),
            Err(_) => self.stats.refused += 1,
        }
        filed
    }

    fn file(&mut self, codec: Codec, payload: &[u8], timestamp: u32) -> Result<(), PacketError> {
        match codec {
            Codec::Aic => {
                let payload = Payload::parse(payload)?;
                let first = self.index(timestamp);
                let past = self.playout.insert(first, &payload);
                if payload.silence().is_none() {
                    self.primer = past;
                }
                self.stats.aic_packets += 1;
            }
            Codec::Opus => {
                let samples = self.opus.decoder.samples(payload)?;
                if samples % FRAME_48K != 0 {
                    return Err(PacketError::Length(samples));
                }
                let first = self.index(timestamp);
                self.playout.insert_opus(
                    first,
                    (samples / FRAME_48K) as i64,
                    Bytes::copy_from_slice(payload),
                );
                self.stats.opus_packets += 1;
            }
        }
        Ok(())
    }

    /// The next 20 ms.
    pub fn pull(&mut self, out: &mut [f32; FRAME_48K]) -> Played {
        let (slot, stalled) = match self.playout.take(!self.opus.ready.is_empty()) {
            Due::Wait => {
                out.fill(0.0);
                return Played::Waiting;
            }
            Due::Stall => (Slot::default(), true),
            Due::Frame(slot) => (slot, false),
        };
        if slot.codes.is_some() || slot.opus.is_some() {
            self.silent = false;
        } else if slot.silence.is_some() {
            self.silent = true;
        }
        let has_opus = slot.opus.is_some() || !self.opus.ready.is_empty();
        let has_aic = slot.codes.is_some() || slot.silence.is_some();
        // A copy alone is no sign that the sender has come back to AIC.
        let means_aic = slot.codes.is_some_and(|coded| !coded.copy) || slot.silence.is_some();
        let from = match self.playing {
            Some(codec) => codec,
            None if has_aic => Codec::Aic,
            None => Codec::Opus,
        };
        if self.playing.is_none() {
            self.begin(from);
        }
        let played = self.play(from, &slot, stalled, out);
        let to = match from {
            Codec::Aic if has_opus => Codec::Opus,
            // One missing packet of Opus is lost; two beside AIC are its end.
            Codec::Opus if means_aic && (self.warm + 1 >= WARM || (!has_opus && self.missed)) => Codec::Aic,
            codec => codec,
        };
        self.missed = to == Codec::Opus && means_aic && !has_opus;
        self.playing = Some(to);
        if from == Codec::Opus && to == Codec::Opus && (means_aic || self.warm > 0) && !stalled {
            self.warm_up(&slot, means_aic);
        }
        if to != from {
            self.stats.switches += 1;
            if to == Codec::Opus || self.warm == 0 {
                self.begin(to);
            }
            self.warm = 0;
            let mut other = [0.0; FRAME_48K];
            self.play(to, &slot, stalled, &mut other);
            if from == Codec::Opus {
                self.opus.ready.clear();
            }
            for n in FRAME_48K - CROSS..FRAME_48K {
                // Both say the same, so amplitudes add up, not powers.
                let part = (n + CROSS - FRAME_48K + 1) as f32 / CROSS as f32;
                out[n] += part * (other[n] - out[n]);
            }
        }
        for sample in out.iter_mut() {
            // Opus decodes hostile packets to any number.
            *sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        }
        match played {
            Played::Redundant => self.stats.redundant += 1,
            Played::Concealed => self.stats.concealed += 1,
            Played::Waiting | Played::Coded | Played::Silent => {}
        }
        played
    }

    /// What is heard now. Who codes it again with AIC compounds the losses (see [`crate::control::Settings::tandem`]).
    pub fn codec(&self) -> Option<Codec> {
        self.playing
    }

    /// What has happened.
    pub fn stats(&self) -> ReceiverStats {
        let lost = self.sequence.map_or(0, |(first, last, count)| (last - first + 1).saturating_sub(count));
        ReceiverStats { late: self.playout.late, lost, ..self.stats }
    }

    fn index(&mut self, timestamp: u32) -> i64 {
        let origin = *self.origin.get_or_insert(timestamp);
        // Frames on the wire count in steps of the clock; the difference wraps, so it is extended in ticks.
        let reference = self.playout.position().unwrap_or(0) * i64::from(TICKS_PER_FRAME);
        let ticks = timestamp.wrapping_sub(origin);
        let extended = reference + i64::from(ticks.wrapping_sub(reference as u32) as i32);
        extended.div_euclid(i64::from(TICKS_PER_FRAME))
    }

    fn count(&mut self, sequence: u16) {
        let (first, last, count) = self.sequence.unwrap_or_else(|| {
            let start = u64::from(sequence) + (1 << 16);
            (start, start, 0)
        });
        let ahead = sequence.wrapping_sub(last as u16) as i16;
        let extended = last.saturating_add_signed(i64::from(ahead));
        self.sequence = Some((first.min(extended), last.max(extended), count + 1));
    }

    /// A frame of AIC beside Opus: decoded unheard. Too many of them missing end the attempt.
    fn warm_up(&mut self, slot: &Slot, arrived: bool) {
        if self.warm == 0 {
            self.begin(Codec::Aic);
        }
        self.play(Codec::Aic, slot, false, &mut [0.0; FRAME_48K]);
        self.warm = if arrived { self.warm + 1 } else { self.warm.saturating_sub(2) };
    }

    /// The path of `codec` starts cold, with what the packets offer for that.
    fn begin(&mut self, codec: Codec) {
        match codec {
            Codec::Aic => {
                self.voice.reset();
                self.up = Up::default();
                for coded in std::mem::take(&mut self.primer) {
                    let mut warm = [0.0; FRAME];
                    self.voice.play(Frame::Coded(coded), &mut warm);
                    self.up.process(&warm);
                }
            }
            Codec::Opus => {
                drop(self.opus.decoder.reset());
                self.opus.ready.clear();
                self.opus.held.fill(0.0);
            }
        }
    }

    fn play(&mut self, codec: Codec, slot: &Slot, stalled: bool, out: &mut [f32; FRAME_48K]) -> Played {
        match codec {
            Codec::Aic => {
                let (frame, played) = match slot.codes {
                    Some(coded) => {
                        (Frame::Coded(coded), if coded.copy { Played::Redundant } else { Played::Coded })
                    }
                    None if slot.silence.is_some() || (self.silent && !stalled) => {
                        (Frame::Silent(slot.silence), Played::Silent)
                    }
                    None => (Frame::Lost, Played::Concealed),
                };
                let mut narrow = [0.0; FRAME];
                self.voice.play(frame, &mut narrow);
                *out = self.up.process(&narrow);
                played
            }
            Codec::Opus => {
                let next = self.playout.peek().and_then(|slot| slot.opus.as_deref());
                self.opus.play(slot.opus.as_deref(), next, out)
            }
        }
    }
}

impl OpusPath {
    fn play(&mut self, packet: Option<&[u8]>, next: Option<&[u8]>, out: &mut [f32; FRAME_48K]) -> Played {
        let decoded = packet.and_then(|packet| self.decoder.decode(packet, &mut self.scratch).ok());
        let mut frame = [0.0; FRAME_48K];
        let played = if let Some(samples) = decoded {
            self.ready.clear();
            self.ready.extend_from_slice(&self.scratch[FRAME_48K..samples.max(FRAME_48K)]);
            frame.copy_from_slice(&self.scratch[..FRAME_48K]);
            Played::Coded
        } else if self.ready.len() >= FRAME_48K {
            frame.copy_from_slice(&self.ready[..FRAME_48K]);
            self.ready.drain(..FRAME_48K);
            Played::Coded
        } else if next.is_some_and(|next| self.decoder.recover(next, &mut frame).is_ok()) {
            Played::Redundant
        } else {
            if self.decoder.conceal(&mut frame).is_err() {
                frame.fill(0.0);
            }
            Played::Concealed
        };
        out[..HOLD].copy_from_slice(&self.held);
        out[HOLD..].copy_from_slice(&frame[..FRAME_48K - HOLD]);
        self.held.copy_from_slice(&frame[FRAME_48K - HOLD..]);
        played
    }
}
