//! What callers use: codes, rates, and a stream's encoder and decoder.
//!
//! A [`Model`] is shared by all streams; an [`Encoder`] or [`Decoder`] is one stream's memory. Both work frame by
//! frame, 320 samples in and 320 out, the decoder's half a frame late: with the frame itself 30 ms of delay. They hold
//! no clock and no queue; packets, redundancy and rate control are `payload` and `stream`.

pub(crate) mod conceal;
pub(crate) mod state;

use crate::backend::{Analysis, Synthesis};
use crate::error::CodecError;
use crate::model::Model;
use crate::quantiser::{self, LATENT};
use conceal::Fade;
use state::Side;

/// Samples in a frame of 20 ms.
pub const FRAME: usize = 320;
/// Samples per second, one channel.
pub const SAMPLE_RATE: u32 = 16_000;
/// Stages of the residual quantiser, coarse to fine: any prefix of them is a valid, coarser description.
pub const STAGES: usize = 12;
/// Bits that name one stage's vector.
pub const BITS: u32 = 10;

/// One frame's vectors, coarse to fine, each below `1 << BITS`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Codes(pub [u16; STAGES]);

/// How many stages are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum Rate {
    /// 3 stages: 1.5 kbit/s.
    Low,
    /// 6 stages: 3 kbit/s.
    Mid,
    /// 12 stages: 6 kbit/s.
    High,
}

impl Rate {
    /// All rates, ascending.
    pub const ALL: [Self; 3] = [Self::Low, Self::Mid, Self::High];

    /// Stages sent of each frame.
    pub const fn stages(self) -> u8 {
        match self {
            Self::Low => 3,
            Self::Mid => 6,
            Self::High => 12,
        }
    }

    /// Bits of one frame, without header.
    pub const fn bits_per_frame(self) -> u32 {
        self.stages() as u32 * BITS
    }

    /// Bits per second, without headers.
    pub const fn bps(self) -> u32 {
        self.bits_per_frame() * (SAMPLE_RATE / FRAME as u32)
    }
}

/// What the network delivered of one frame.
#[derive(Clone, Copy, Debug)]
pub enum Arrived<'a> {
    /// Nothing, in time: the decoder invents a continuation, and fades to silence if that goes on.
    Lost,
    /// The first `stages` (1–12) of `codes`; the others are not looked at. 0 stages are [`Arrived::Lost`].
    Coded {
        /// The frame's codes.
        codes: &'a Codes,
        /// How many of them arrived, counted from the coarsest.
        stages: u8,
    },
}

/// One stream's encoder. Deterministic: the same model, samples and backend give the same codes on every run; the
/// native backend gives them on every machine.
#[derive(Debug)]
pub struct Encoder {
    model: Model,
    network: Box<dyn Analysis>,
    search: quantiser::Search,
}

/// One stream's decoder.
#[derive(Debug)]
pub struct Decoder {
    model: Model,
    network: Box<dyn Synthesis>,
    fade: Fade,
}

impl Encoder {
    pub(crate) fn new(model: Model, network: Box<dyn Analysis>) -> Self {
        Self { model, network, search: quantiser::Search::default() }
    }

    /// The codes of the next 20 ms: `pcm` is 320 samples, full scale ±1 (what is louder is clipped).
    ///
    /// # Errors
    /// [`CodecError::Samples`] if a sample is not a finite number, [`CodecError::Backend`] if the network's runtime
    /// fails; the stream's state is then as it was before.
    pub fn encode(&mut self, pcm: &[f32; FRAME]) -> Result<Codes, CodecError> {
        if !pcm.iter().all(|sample| sample.is_finite()) {
            return Err(CodecError::Samples);
        }
        let mut clipped = *pcm;
        for sample in &mut clipped {
            *sample = sample.clamp(-1.0, 1.0);
        }
        let mut latent = [0.0; LATENT];
        self.network.latent(&clipped, &mut latent)?;
        Ok(self.model.quantiser().encode(&latent, &mut self.search))
    }

    /// How many quantisations are followed at once, 1–[`quantiser::MAX_BEAMS`]; 4 unless told, 1 is the greedy search.
    pub fn set_beams(&mut self, beams: usize) {
        self.search.set_beams(beams);
    }

    /// The rate that is sent: the search then looks for the best codes of that many stages, and after them for the
    /// best of the rest. [`Rate::High`] unless told.
    pub fn set_rate(&mut self, rate: Rate) {
        self.search.commit_after(usize::from(rate.stages()));
    }

    /// The model this encoder runs.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Everything the stream remembers, to go on elsewhere with the same model: versioned, with model id and checksum.
    pub fn state(&self) -> Vec<u8> {
        state::write(self.model.fingerprint(), Side::Encoder, Fade::default(), &*self.network)
    }

    /// Goes on from `state`.
    ///
    /// # Errors
    /// [`CodecError::State`] if `state` is damaged, of another version, another model or a decoder's; the stream
    /// is then unchanged.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), CodecError> {
        state::read(self.model.fingerprint(), Side::Encoder, &mut *self.network, state).map(drop)
    }

    /// As at the start of a stream.
    pub fn reset(&mut self) {
        self.network.reset();
    }
}

impl Decoder {
    pub(crate) fn new(model: Model, network: Box<dyn Synthesis>) -> Self {
        Self { model, network, fade: Fade::default() }
    }

    /// The next 20 ms, half a frame late, within ±1.
    ///
    /// # Errors
    /// [`CodecError::Code`] and [`CodecError::Stages`] for codes that no encoder makes, [`CodecError::Backend`] if the
    /// network's runtime fails; the stream's state and `out` are then as before.
    pub fn decode(&mut self, arrived: Arrived<'_>, out: &mut [f32; FRAME]) -> Result<(), CodecError> {
        let mut latent = [0.0; LATENT];
        let stages = match arrived {
            Arrived::Lost => 0,
            Arrived::Coded { codes, stages } => {
                self.model.quantiser().decode(codes, stages, &mut latent)?;
                stages
            }
        };
        let share = f32::from(stages) / STAGES as f32;
        let mut pcm = [0.0; FRAME];
        self.network.pcm(&latent, share, &mut pcm)?;
        self.fade.apply(stages == 0, &mut pcm);
        *out = pcm;
        Ok(())
    }

    /// The model this decoder runs.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Everything the stream remembers, to go on elsewhere with the same model: versioned, with model id and checksum.
    pub fn state(&self) -> Vec<u8> {
        state::write(self.model.fingerprint(), Side::Decoder, self.fade, &*self.network)
    }

    /// Goes on from `state`.
    ///
    /// # Errors
    /// [`CodecError::State`] if `state` is damaged, of another version, another model or an encoder's; the stream
    /// is then unchanged.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), CodecError> {
        self.fade = state::read(self.model.fingerprint(), Side::Decoder, &mut *self.network, state)?;
        Ok(())
    }

    /// As at the start of a stream.
    pub fn reset(&mut self) {
        self.network.reset();
        self.fade = Fade::default();
    }
}
