//! The input side: packets to frames of 20 ms at the rate the output wants.
//!
//! There is no playout clock: frames come out as soon as the packet that completes them is in, and what was lost is
//! made up when the next packet shows that it was. A stream of AIC may switch to Opus and back at any packet; the
//! seam is cross-faded with the continuation of what was heard before.
//!
//! Long because the codecs share one order, one resampler and one seam: apart they would pass all of it around.

use bytes::Bytes;

use super::order::{self, Expected, FRAME_TICKS, Gap};
use super::{ConvertError, Refusal};
use crate::opus::MAX_SAMPLES;
use crate::payload::{Payload, REDUNDANT_STAGES};
use crate::resample::{Down, FRAME_48K, Up};
use crate::server::terms::{Input, MAX_PAYLOAD, PcmRate};
use crate::{Arrived, Decoder, FRAME, Model, opus};

/// Packets an Opus decoder is primed with on another replica: one second.
const REMEMBERED: usize = 50;

/// 20 ms of sound.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heard {
    /// Of the first sample, on the input's clock.
    pub(super) timestamp: u32,
    /// 320 or 960 samples.
    pub(super) pcm: Vec<f32>,
    /// Made up for something lost.
    pub(super) concealed: bool,
    /// The packet said that nobody spoke.
    pub(super) silence: bool,
}

/// What the payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    Pcm(PcmRate),
    Opus,
    Aic,
}

/// The input side of one stream.
pub(super) struct Source {
    input: Input,
    want: PcmRate,
    model: Model,
    aic: Option<Decoder>,
    opus: Option<OpusIn>,
    up: Up,
    down: Down,
    expected: Option<Expected>,
    playing: Option<Carried>,
    /// The other codec's decoder is warm: its sender has said the last moment in it too.
    standby: Option<Carried>,
    noise: u32,
    /// The noise of the pause that has begun, of a stream of AIC.
    pause: Option<crate::payload::Silence>,
}

struct OpusIn {
    decoder: opus::Decoder,
    out: Box<[f32; MAX_SAMPLES]>,
    /// Decoded, not yet a whole frame.
    pending: Vec<f32>,
    recent: Vec<Bytes>,
    /// The last samples, held back: in a stream of AIC its fallback is as late as AIC is, so that a switch is no jump.
    held: Vec<f32>,
}

/// As it moves.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SourceState {
    #[prost(uint32, optional, tag = "1")]
    sequence: Option<u32>,
    #[prost(uint32, tag = "2")]
    timestamp: u32,
    #[prost(bytes = "vec", optional, tag = "3")]
    aic: Option<Vec<u8>>,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    opus_recent: Vec<Bytes>,
    #[prost(float, repeated, tag = "5")]
    opus_pending: Vec<f32>,
    #[prost(float, repeated, tag = "6")]
    up: Vec<f32>,
    #[prost(float, repeated, tag = "7")]
    down: Vec<f32>,
    #[prost(uint32, tag = "8")]
    playing: u32,
    #[prost(uint32, tag = "9")]
    noise: u32,
    #[prost(uint32, tag = "10")]
    standby: u32,
    #[prost(float, repeated, tag = "11")]
    held: Vec<f32>,
}

impl Source {
    pub(super) fn new(model: &Model, input: Input, want: PcmRate) -> Self {
        Self {
            input,
            want,
            model: model.clone(),
            aic: None,
            opus: None,
            up: Up::default(),
            down: Down::default(),
            expected: None,
            playing: None,
            standby: None,
            noise: 1,
            pause: None,
        }
    }

    /// Lateness of the frames against their timestamps, in ticks of 48 kHz, while the stream's own codec is sent.
    pub(super) fn delay_ticks(&self) -> u32 {
        let resampling = |from: PcmRate| if from == self.want { 0 } else { 60 };
        match self.input {
            Input::Pcm(rate) => resampling(rate),
            Input::Opus => resampling(PcmRate::Full),
            Input::Aic => 480 + resampling(PcmRate::Wide),
        }
    }

    /// The frames that `payload` completes, oldest first.
    pub(super) fn packet(
        &mut self,
        carried: Carried,
        payload: &Bytes,
        sequence: u16,
        timestamp: u32,
    ) -> Result<Vec<Heard>, Refusal> {
        let gap = order::judge(self.expected, sequence, timestamp).map_err(|_| Refusal::Late)?;
        let gap = match gap {
            // At a switch senders say the last moment again in the new codec, so that its decoder is warm.
            Gap::Back if self.playing.is_some_and(|playing| playing != carried) => {
                return self.overlap(carried, payload, sequence, timestamp);
            }
            Gap::Back => Gap::Jump,
            gap => gap,
        };
        let (frames, ticks) = match carried {
            Carried::Aic => self.aic_packet(payload, gap, timestamp)?,
            Carried::Opus => self.opus_packet(payload, gap, timestamp)?,
            Carried::Pcm(rate) => self.pcm_packet(rate, payload, gap, timestamp)?,
        };
        self.expected =
            Some(Expected { sequence: sequence.wrapping_add(1), timestamp: timestamp.wrapping_add(ticks) });
        self.playing = Some(carried);
        self.standby = None;
        Ok(frames)
    }

    /// The pause before a packet that comes next, if time alone says that there is one: for those who have no clock to
    /// hear it by.
    pub(super) fn pause_before(&mut self, sequence: u16, timestamp: u32) -> Result<Vec<Heard>, Refusal> {
        match order::judge(self.expected, sequence, timestamp) {
            Ok(Gap::Jump) => self.pause_until(timestamp),
            _ => Ok(Vec::new()),
        }
    }

    /// Noise from where the stream stands until `timestamp`; nothing if that is past. What is left is less than a frame.
    pub(super) fn pause_until(&mut self, timestamp: u32) -> Result<Vec<Heard>, Refusal> {
        let Some(expected) = self.expected else { return Ok(Vec::new()) };
        let ticks = timestamp.wrapping_sub(expected.timestamp);
        if ticks >= 0x8000_0000 {
            return Ok(Vec::new());
        }
        let mut heard = Vec::new();
        let mut passed = ticks / FRAME_TICKS * FRAME_TICKS;
        match (self.playing, self.opus.take()) {
            (Some(Carried::Opus), Some(mut input)) => {
                // The decoder goes on with the noise it knows of, and falls silent where it knows none.
                let mut base = expected.timestamp.wrapping_sub(input.pending.len() as u32);
                let mut left = ticks as usize;
                while left > 0 {
                    let mut frame = [0.0; FRAME_48K];
                    input.decoder.conceal(&mut frame).map_err(Refusal::opus)?;
                    let part = left.min(FRAME_48K);
                    input.pending.extend_from_slice(&frame[..part]);
                    left -= part;
                }
                passed = ticks;
                self.take_frames(&mut input, &mut base, false, &mut None, &mut heard);
                self.opus = Some(input);
            }
            (_, opus) => {
                self.opus = opus;
                for frame in 0..passed / FRAME_TICKS {
                    let timestamp = expected.timestamp.wrapping_add(frame * FRAME_TICKS);
                    let pcm = self.comfort(self.pause);
                    heard.push(Heard { timestamp, pcm, concealed: false, silence: true });
                }
            }
        }
        self.expected = Some(Expected { timestamp: expected.timestamp.wrapping_add(passed), ..expected });
        Ok(heard)
    }

    /// Where the stream stands on its clock.
    pub(super) fn position(&self) -> Option<u32> {
        self.expected.map(|expected| expected.timestamp)
    }

    /// Hears a packet whose time has been played, for its decoder's sake.
    fn overlap(
        &mut self,
        carried: Carried,
        payload: &Bytes,
        sequence: u16,
        timestamp: u32,
    ) -> Result<Vec<Heard>, Refusal> {
        let playing = self.playing.take();
        let heard = match carried {
            Carried::Aic => {
                self.aic = None;
                self.aic_packet(payload, Gap::None, timestamp)
            }
            Carried::Opus => {
                self.opus = None;
                self.opus_packet(payload, Gap::None, timestamp)
            }
            Carried::Pcm(_) => Err(Refusal::Codec),
        };
        self.playing = playing;
        heard?;
        self.standby = Some(carried);
        self.expected =
            self.expected.map(|expected| Expected { sequence: sequence.wrapping_add(1), ..expected });
        Ok(Vec::new())
    }

    /// Whether the decoder of `carried` remembers something that is not what comes next.
    fn is_cold(&self, carried: Carried) -> bool {
        self.playing.is_some_and(|playing| playing != carried) && self.standby != Some(carried)
    }

    /// Forgets the past: the next packet starts anew.
    pub(super) fn reset(&mut self) {
        *self = Self::new(&self.model, self.input, self.want);
    }

    fn aic_packet(&mut self, bytes: &Bytes, gap: Gap, timestamp: u32) -> Result<(Vec<Heard>, u32), Refusal> {
        if bytes.len() > MAX_PAYLOAD {
            return Err(Refusal::TooLong);
        }
        let payload = Payload::parse(bytes).map_err(|error| Refusal::Malformed(error.to_string()))?;
        let header = payload.header();
        let mut tail = self.tail_of_other(Carried::Aic)?;
        if self.is_cold(Carried::Aic) || self.aic.is_none() {
            // What the decoder remembers is old: it hears the copies of the frames just before, if there are any.
            let mut decoder = self.model.decoder();
            for back in (0..header.redundant_frames()).rev() {
                if let Some(codes) = payload.redundant(back) {
                    let coded = Arrived::Coded { codes: &codes, stages: REDUNDANT_STAGES };
                    decoder.decode(coded, &mut [0.0; FRAME]).map_err(Refusal::codec)?;
                }
            }
            self.aic = Some(decoder);
        }
        let mut heard = Vec::new();
        if let Gap::Lost { frames } = gap
            && tail.is_none()
        {
            for back in (0..frames).rev() {
                let copy = payload.redundant(back as usize);
                let arrived = match &copy {
                    Some(codes) => Arrived::Coded { codes, stages: REDUNDANT_STAGES },
                    None => Arrived::Lost,
                };
                let pcm = self.decode(arrived)?;
                let timestamp = timestamp.wrapping_sub((back + 1) * FRAME_TICKS);
                heard.push(Heard { timestamp, pcm, concealed: copy.is_none(), silence: false });
            }
        }
        let primary = if header.silence { 1 } else { u32::from(header.frames) };
        self.pause = payload.silence();
        for index in 0..primary {
            let pcm = match payload.frame(index as usize) {
                Some(codes) => self.decode(Arrived::Coded { codes: &codes, stages: header.rate.stages() })?,
                None => self.comfort(payload.silence()),
            };
            let pcm = match tail.take() {
                Some(tail) => crossfade(&tail, pcm),
                None => pcm,
            };
            let timestamp = timestamp.wrapping_add(index * FRAME_TICKS);
            heard.push(Heard { timestamp, pcm, concealed: false, silence: header.silence });
        }
        Ok((heard, primary * FRAME_TICKS))
    }

    fn decode(&mut self, arrived: Arrived<'_>) -> Result<Vec<f32>, Refusal> {
        let decoder = self.aic.get_or_insert_with(|| self.model.decoder());
        let mut out = [0.0; FRAME];
        decoder.decode(arrived, &mut out).map_err(Refusal::codec)?;
        Ok(self.resampled_wide(&out))
    }

    /// Noise of the described loudness; its colour is left to the ear.
    fn comfort(&mut self, silence: Option<crate::payload::Silence>) -> Vec<f32> {
        let power: f32 = silence.map_or(0.0, |silence| silence.powers().iter().sum());
        let amplitude = (3.0 * power).sqrt();
        let mut pcm = [0.0; FRAME];
        for sample in &mut pcm {
            // Numerical Recipes' generator: the same noise on every replica.
            self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = amplitude * (self.noise as f32 / (u32::MAX as f32 / 2.0) - 1.0);
        }
        self.resampled_wide(&pcm)
    }

    fn resampled_wide(&mut self, pcm: &[f32; FRAME]) -> Vec<f32> {
        match self.want {
            PcmRate::Wide => pcm.to_vec(),
            PcmRate::Full => self.up.process(pcm).to_vec(),
        }
    }

    fn resampled_full(&mut self, pcm: &[f32; FRAME_48K]) -> Vec<f32> {
        match self.want {
            PcmRate::Wide => self.down.process(pcm).to_vec(),
            PcmRate::Full => pcm.to_vec(),
        }
    }

    fn opus_packet(&mut self, bytes: &Bytes, gap: Gap, timestamp: u32) -> Result<(Vec<Heard>, u32), Refusal> {
        if bytes.len() > MAX_PAYLOAD {
            return Err(Refusal::TooLong);
        }
        let mut tail = self.tail_of_other(Carried::Opus)?;
        if self.is_cold(Carried::Opus) {
            self.opus = None;
        }
        let mut input = match self.opus.take() {
            Some(input) => input,
            None => OpusIn::new(self.held_back()).map_err(Refusal::opus)?,
        };
        let outcome = self.opus_into(&mut input, bytes, gap, timestamp, &mut tail);
        self.opus = Some(input);
        outcome
    }

    fn opus_into(
        &mut self,
        input: &mut OpusIn,
        bytes: &Bytes,
        gap: Gap,
        timestamp: u32,
        tail: &mut Option<Vec<f32>>,
    ) -> Result<(Vec<Heard>, u32), Refusal> {
        // Before anything is concealed: what is no packet changes nothing.
        let samples = input.decoder.samples(bytes).map_err(Refusal::opus)?;
        let mut heard = Vec::new();
        let mut base = timestamp.wrapping_sub(input.pending.len() as u32);
        match gap {
            Gap::Lost { frames } if tail.is_none() => {
                base = base.wrapping_sub(frames * FRAME_TICKS);
                for left in (0..frames).rev() {
                    let mut frame = [0.0; FRAME_48K];
                    if left == 0 {
                        input.decoder.recover(bytes, &mut frame).map_err(Refusal::opus)?;
                    } else {
                        input.decoder.conceal(&mut frame).map_err(Refusal::opus)?;
                    }
                    input.pending.extend_from_slice(&frame);
                }
                self.take_frames(input, &mut base, true, tail, &mut heard);
            }
            Gap::Jump if !input.pending.is_empty() => {
                // Its end was never sent.
                let before = self.expected.map_or(timestamp, |expected| expected.timestamp);
                let mut base_before = before.wrapping_sub(input.pending.len() as u32);
                input.pending.resize(FRAME_48K, 0.0);
                self.take_frames(input, &mut base_before, true, tail, &mut heard);
                base = timestamp;
            }
            _ => {}
        }
        let decoded = input.decoder.decode(bytes, &mut input.out).map_err(Refusal::opus)?;
        input.pending.extend_from_slice(&input.out[..decoded]);
        input.remember(bytes);
        self.take_frames(input, &mut base, false, tail, &mut heard);
        Ok((heard, u32::try_from(samples).unwrap_or(FRAME_TICKS)))
    }

    fn take_frames(
        &mut self,
        input: &mut OpusIn,
        base: &mut u32,
        concealed: bool,
        tail: &mut Option<Vec<f32>>,
        heard: &mut Vec<Heard>,
    ) {
        let whole = input.pending.len() / FRAME_48K;
        for frame in input.pending.as_chunks::<FRAME_48K>().0 {
            let pcm = self.resampled_full(&hold_back(&mut input.held, *frame));
            let pcm = match tail.take() {
                Some(tail) => crossfade(&tail, pcm),
                None => pcm,
            };
            heard.push(Heard { timestamp: *base, pcm, concealed, silence: false });
            *base = base.wrapping_add(FRAME_TICKS);
        }
        input.pending.drain(..whole * FRAME_48K);
    }

    fn pcm_packet(
        &mut self,
        rate: PcmRate,
        bytes: &Bytes,
        gap: Gap,
        timestamp: u32,
    ) -> Result<(Vec<Heard>, u32), Refusal> {
        let frame_bytes = rate.frame() * 2;
        let frames = bytes.len() / frame_bytes;
        if !bytes.len().is_multiple_of(frame_bytes) || !(1..=3).contains(&frames) {
            return Err(Refusal::Malformed("PCM must hold 20, 40 or 60 ms".to_owned()));
        }
        let mut heard = Vec::new();
        if let Gap::Lost { frames } = gap {
            for back in (0..frames).rev() {
                let pcm = self.pcm_frame(rate, &vec![0.0; rate.frame()]);
                let timestamp = timestamp.wrapping_sub((back + 1) * FRAME_TICKS);
                heard.push(Heard { timestamp, pcm, concealed: true, silence: false });
            }
        }
        for (index, chunk) in bytes.chunks_exact(frame_bytes).enumerate() {
            let samples: Vec<f32> = chunk
                .as_chunks::<2>()
                .0
                .iter()
                .map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0)
                .collect();
            let pcm = self.pcm_frame(rate, &samples);
            let timestamp = timestamp.wrapping_add(index as u32 * FRAME_TICKS);
            heard.push(Heard { timestamp, pcm, concealed: false, silence: false });
        }
        Ok((heard, frames as u32 * FRAME_TICKS))
    }

    fn pcm_frame(&mut self, rate: PcmRate, samples: &[f32]) -> Vec<f32> {
        match rate {
            PcmRate::Wide => self.resampled_wide(samples.first_chunk().expect("320 samples")),
            PcmRate::Full => self.resampled_full(samples.first_chunk().expect("960 samples")),
        }
    }

    /// Samples by which AIC is later than Opus on this path: the codecs' own delays and one resampling.
    fn held_back(&self) -> usize {
        let aic = 60 + 480 + if self.want == PcmRate::Full { 60 } else { 0 };
        let opus = opus::DELAY + if self.want == PcmRate::Wide { 60 } else { 0 };
        if self.input == Input::Aic { aic - opus } else { 0 }
    }

    /// The continuation of what another codec played until now, for the seam; `None` when there is no seam.
    fn tail_of_other(&mut self, next: Carried) -> Result<Option<Vec<f32>>, Refusal> {
        match (self.playing, next) {
            (Some(Carried::Aic), Carried::Opus) => self.decode(Arrived::Lost).map(Some),
            (Some(Carried::Opus), Carried::Aic) => {
                let Some(input) = &mut self.opus else { return Ok(None) };
                let mut frame = [0.0; FRAME_48K];
                input.decoder.conceal(&mut frame).map_err(Refusal::opus)?;
                let frame = hold_back(&mut input.held, frame);
                Ok(Some(self.resampled_full(&frame)))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn state(&self) -> SourceState {
        let opus = self.opus.as_ref();
        SourceState {
            sequence: self.expected.map(|expected| u32::from(expected.sequence)),
            timestamp: self.expected.map_or(0, |expected| expected.timestamp),
            aic: self.aic.as_ref().map(Decoder::state),
            opus_recent: opus.map(|input| input.recent.clone()).unwrap_or_default(),
            opus_pending: opus.map(|input| input.pending.clone()).unwrap_or_default(),
            held: opus.map(|input| input.held.clone()).unwrap_or_default(),
            up: self.up.last().to_vec(),
            down: self.down.last().to_vec(),
            playing: to_number(self.playing),
            noise: self.noise,
            standby: to_number(self.standby),
        }
    }

    pub(super) fn restore(&mut self, state: SourceState) -> Result<(), ConvertError> {
        self.expected = match state.sequence {
            None => None,
            Some(sequence) => Some(Expected {
                sequence: u16::try_from(sequence).map_err(|_| ConvertError::State)?,
                timestamp: state.timestamp,
            }),
        };
        if let Some(bytes) = &state.aic {
            let mut decoder = self.model.decoder();
            decoder.restore(bytes)?;
            self.aic = Some(decoder);
        }
        if !state.opus_recent.is_empty() {
            if state.opus_recent.len() > REMEMBERED || state.opus_pending.len() >= FRAME_48K {
                return Err(ConvertError::State);
            }
            if state.held.len() != self.held_back() {
                return Err(ConvertError::State);
            }
            let mut input = OpusIn::new(0)?;
            input.held = super::finite(state.held)?;
            input.decoder.prime(state.opus_recent.iter().map(|packet| &packet[..]));
            input.recent = state.opus_recent;
            input.pending = super::finite(state.opus_pending)?;
            self.opus = Some(input);
        }
        self.up = Up::resume(super::finite(state.up)?.first_chunk().ok_or(ConvertError::State)?);
        self.down = Down::resume(super::finite(state.down)?.first_chunk().ok_or(ConvertError::State)?);
        self.playing = from_number(state.playing)?;
        self.standby = from_number(state.standby)?;
        self.noise = state.noise;
        Ok(())
    }
}

impl OpusIn {
    fn new(held: usize) -> Result<Self, opus::OpusError> {
        Ok(Self {
            decoder: opus::Decoder::new()?,
            out: Box::new([0.0; MAX_SAMPLES]),
            pending: Vec::new(),
            recent: Vec::new(),
            held: vec![0.0; held],
        })
    }

    fn remember(&mut self, packet: &Bytes) {
        if self.recent.len() == REMEMBERED {
            self.recent.remove(0);
        }
        // A copy: the packet may be a slice of a whole network read.
        self.recent.push(Bytes::copy_from_slice(packet));
    }
}

/// A delay line: what was held comes first, and as much is held again.
fn hold_back(held: &mut Vec<f32>, frame: [f32; FRAME_48K]) -> [f32; FRAME_48K] {
    held.extend_from_slice(&frame);
    let mut out = [0.0; FRAME_48K];
    out.copy_from_slice(&held[..FRAME_48K]);
    held.drain(..FRAME_48K);
    out
}

/// As in the state that moves.
fn to_number(carried: Option<Carried>) -> u32 {
    match carried {
        None => 0,
        Some(Carried::Aic) => 1,
        Some(Carried::Opus) => 2,
        Some(Carried::Pcm(PcmRate::Wide)) => 3,
        Some(Carried::Pcm(PcmRate::Full)) => 4,
    }
}

fn from_number(number: u32) -> Result<Option<Carried>, ConvertError> {
    Ok(match number {
        0 => None,
        1 => Some(Carried::Aic),
        2 => Some(Carried::Opus),
        3 => Some(Carried::Pcm(PcmRate::Wide)),
        4 => Some(Carried::Pcm(PcmRate::Full)),
        _ => return Err(ConvertError::State),
    })
}

/// From `old` to `new` over one frame.
fn crossfade(old: &[f32], mut new: Vec<f32>) -> Vec<f32> {
    let length = new.len() as f32;
    for (index, (new, old)) in new.iter_mut().zip(old).enumerate() {
        let share = (index as f32 + 0.5) / length;
        *new = *old * (1.0 - share) + *new * share;
    }
    new
}
