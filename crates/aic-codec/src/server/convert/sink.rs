//! The output side: frames of 20 ms to packets of PCM or Opus. AIC has a sink of its own.

use bytes::Bytes;

use super::ConvertError;
use super::order::FRAME_TICKS;
use super::source::Heard;
use crate::control::ladder::Opus;
use crate::opus;
use crate::resample::FRAME_48K;
use crate::server::terms::PcmRate;

/// Frames an Opus encoder is primed with on another replica: half a second.
const REMEMBERED: usize = 25;

/// A payload and what time it stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Made {
    pub(super) payload: Bytes,
    pub(super) timestamp: u32,
    pub(super) frames: u32,
}

/// Gathers frames without a gap between them.
#[derive(Debug, Default)]
struct Gather {
    start: u32,
    pcm: Vec<f32>,
    frames: usize,
}

impl Gather {
    /// Whether `next` goes on where this ends.
    fn continues(&self, next: &Heard) -> bool {
        self.frames == 0 || next.timestamp == self.start.wrapping_add(self.frames as u32 * FRAME_TICKS)
    }

    fn add(&mut self, heard: &Heard) {
        if self.frames == 0 {
            self.start = heard.timestamp;
        }
        self.pcm.extend_from_slice(&heard.pcm);
        self.frames += 1;
    }
}

/// Packets of PCM.
pub(super) struct PcmSink {
    frames: usize,
    gather: Gather,
}

impl PcmSink {
    pub(super) fn new(frames: usize) -> Self {
        Self { frames, gather: Gather::default() }
    }

    pub(super) fn push(&mut self, heard: &Heard) -> Vec<Made> {
        let mut made = Vec::new();
        if !self.gather.continues(heard) {
            made.extend(self.flush());
        }
        self.gather.add(heard);
        if self.gather.frames >= self.frames {
            made.extend(self.flush());
        }
        made
    }

    pub(super) fn flush(&mut self) -> Option<Made> {
        let Gather { start, pcm, frames } = std::mem::take(&mut self.gather);
        if frames == 0 {
            return None;
        }
        let mut payload = Vec::with_capacity(pcm.len() * 2);
        for sample in pcm {
            payload.extend_from_slice(&to_i16(sample).to_le_bytes());
        }
        Some(Made { payload: payload.into(), timestamp: start, frames: frames as u32 })
    }

    pub(super) fn state(&self) -> GatherState {
        GatherState::of(&self.gather)
    }

    pub(super) fn restore(&mut self, state: GatherState, rate: PcmRate) -> Result<(), ConvertError> {
        self.gather = state.into_gather(rate.frame(), self.frames)?;
        Ok(())
    }
}

/// Packets of Opus.
pub(super) struct OpusSink {
    encoder: opus::Encoder,
    frames: usize,
    gather: Gather,
    recent: Vec<Vec<i16>>,
}

impl OpusSink {
    pub(super) fn new(bitrate_bps: u32, frames: usize) -> Result<Self, ConvertError> {
        Ok(Self {
            encoder: opus::Encoder::new(setting(bitrate_bps, frames, 0.0))?,
            frames,
            gather: Gather::default(),
            recent: Vec::new(),
        })
    }

    /// What the receivers lose, 0..1: sets in-band correction.
    pub(super) fn set_loss(&mut self, bitrate_bps: u32, loss: f64) -> Result<(), ConvertError> {
        Ok(self.encoder.set(setting(bitrate_bps, self.frames, loss))?)
    }

    /// `heard` has 960 samples.
    pub(super) fn push(&mut self, heard: &Heard) -> Result<Vec<Made>, ConvertError> {
        let mut made = Vec::new();
        if !self.gather.continues(heard) {
            made.extend(self.flush()?);
        }
        self.gather.add(heard);
        if self.recent.len() == REMEMBERED {
            self.recent.remove(0);
        }
        self.recent.push(heard.pcm.iter().map(|sample| to_i16(*sample)).collect());
        if self.gather.frames >= self.frames {
            made.extend(self.flush()?);
        }
        Ok(made)
    }

    pub(super) fn flush(&mut self) -> Result<Option<Made>, ConvertError> {
        let Gather { start, pcm, frames } = std::mem::take(&mut self.gather);
        if frames == 0 {
            return Ok(None);
        }
        let payload = self.encoder.encode(&pcm)?;
        Ok(Some(Made { payload, timestamp: start, frames: frames as u32 }))
    }

    pub(super) fn reset(&mut self) -> Result<(), ConvertError> {
        self.gather = Gather::default();
        self.recent.clear();
        Ok(self.encoder.reset()?)
    }

    pub(super) fn state(&self) -> OpusSinkState {
        let recent = self.recent.iter().flatten().flat_map(|sample| sample.to_le_bytes()).collect();
        OpusSinkState { gather: Some(GatherState::of(&self.gather)), recent }
    }

    pub(super) fn restore(&mut self, state: OpusSinkState) -> Result<(), ConvertError> {
        let gather = state.gather.ok_or(ConvertError::State)?;
        self.gather = gather.into_gather(FRAME_48K, self.frames)?;
        if state.recent.len() > REMEMBERED * FRAME_48K * 2
            || !state.recent.len().is_multiple_of(FRAME_48K * 2)
        {
            return Err(ConvertError::State);
        }
        let samples: Vec<i16> =
            state.recent.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
        // What is still gathered will be encoded again: the encoder must not hear it before.
        let heard = samples.len().saturating_sub(self.gather.frames * FRAME_48K);
        let pcm: Vec<f32> = samples[..heard].iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
        self.encoder.prime(&pcm)?;
        self.recent = samples.chunks_exact(FRAME_48K).map(<[i16]>::to_vec).collect();
        Ok(())
    }
}

fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16
}

fn setting(bitrate_bps: u32, frames: usize, loss: f64) -> Opus {
    let percent = (loss * 100.0).round().clamp(0.0, 100.0) as u8;
    Opus { bitrate_bps, ptime_ms: frames as u16 * 20, fec: percent >= 2, red: 0, expected_loss: percent }
}

/// Frames waiting for a packet, as they move.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GatherState {
    #[prost(uint32, tag = "1")]
    start: u32,
    #[prost(float, repeated, tag = "2")]
    pcm: Vec<f32>,
}

impl GatherState {
    fn of(gather: &Gather) -> Self {
        Self { start: gather.start, pcm: gather.pcm.clone() }
    }

    fn into_gather(self, frame: usize, max_frames: usize) -> Result<Gather, ConvertError> {
        let frames = self.pcm.len() / frame;
        if !self.pcm.len().is_multiple_of(frame) || frames > max_frames {
            return Err(ConvertError::State);
        }
        Ok(Gather { start: self.start, pcm: super::finite(self.pcm)?, frames })
    }
}

/// An Opus encoder cannot leave its process: another one hears what this one heard last.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OpusSinkState {
    #[prost(message, optional, tag = "1")]
    gather: Option<GatherState>,
    #[prost(bytes = "vec", tag = "2")]
    recent: Vec<u8>,
}
