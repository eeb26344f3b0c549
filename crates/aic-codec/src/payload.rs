//! The RTP payload `aic/48000`: one header byte, frames with their coarse stages first, copies of earlier frames.
//!
//! Nothing here decodes audio or allocates more than the payload it makes, so a forwarder can parse and [`truncate`]
//! what it relays. Every length follows from the first byte: a payload of any other length is refused.
//! `docs/aic-payload.md` describes the format for other implementations.

mod bits;
mod build;
mod history;
pub mod meta;
pub mod sdp;
mod silence;
mod truncate;

use thiserror::Error;

use crate::codec::{BITS, Codes, Rate, STAGES};

pub use build::build;
pub use build::{build_silence, deepen};
pub use history::History;
pub use silence::{BAND_EDGES_HZ, BANDS, Silence};
pub use truncate::truncate;

/// Frames in a packet at most: 160 ms.
pub const MAX_FRAMES: usize = 8;
/// How many packets back redundancy reaches at most.
pub const MAX_DEPTH: u8 = 3;
/// Stages of an earlier frame that redundancy repeats.
pub const REDUNDANT_STAGES: u8 = 3;
/// The longest payload: header, eight frames at the highest rate, three packets of redundancy.
pub const MAX_LEN: usize = 1 + MAX_FRAMES * 15 + 90;
/// RTP ticks of one frame: the payload's clock runs at 48 kHz, as Opus's does.
pub const TICKS_PER_FRAME: u32 = 960;

/// Why bytes are no payload, or frames make none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PayloadError {
    /// No header byte.
    #[error("the payload is empty")]
    Empty,
    /// Rate index 3.
    #[error("rate index 3 is reserved")]
    ReservedRate,
    /// The header implies another length.
    #[error("the header implies {expected} bytes, there are {actual}")]
    Length {
        /// What the header says.
        expected: usize,
        /// What arrived.
        actual: usize,
    },
    /// The first bit of a silence descriptor is set.
    #[error("the silence descriptor's first bit is reserved")]
    Silence,
    /// Not 1 to 8 frames.
    #[error("a packet holds 1 to 8 frames, not {0}")]
    Frames(usize),
}

/// The first byte of a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// How many stages the primary frames have.
    pub rate: Rate,
    /// The primary part is a silence descriptor.
    pub silence: bool,
    /// How many packets back the redundancy reaches, 0–3.
    pub depth: u8,
    /// Frames in the packet, 1–8; in a silence packet only the unit in which `depth` counts.
    pub frames: u8,
}

impl Header {
    /// Reads the first byte.
    ///
    /// # Errors
    /// [`PayloadError::ReservedRate`].
    pub const fn from_byte(byte: u8) -> Result<Self, PayloadError> {
        let rate = match byte >> 6 {
            0 => Rate::Low,
            1 => Rate::Mid,
            2 => Rate::High,
            _ => return Err(PayloadError::ReservedRate),
        };
        Ok(Self { rate, silence: byte & 0x20 != 0, depth: byte >> 3 & 3, frames: (byte & 7) + 1 })
    }

    /// The first byte.
    pub const fn to_byte(self) -> u8 {
        let rate = match self.rate {
            Rate::Low => 0,
            Rate::Mid => 1,
            Rate::High => 2,
        };
        rate << 6 | (self.silence as u8) << 5 | (self.depth & 3) << 3 | (self.frames.wrapping_sub(1) & 7)
    }

    /// Bytes of the primary part.
    pub const fn primary_len(self) -> usize {
        if self.silence {
            silence::LEN
        } else {
            (self.frames as usize * self.rate.bits_per_frame() as usize).div_ceil(8)
        }
    }

    /// Frames that the redundancy repeats.
    pub const fn redundant_frames(self) -> usize {
        self.depth as usize * self.frames as usize
    }

    /// Bytes of the redundancy.
    pub const fn redundancy_len(self) -> usize {
        (self.redundant_frames() * REDUNDANT_STAGES as usize * BITS as usize).div_ceil(8)
    }

    /// Bytes of the whole payload.
    pub const fn payload_len(self) -> usize {
        1 + self.primary_len() + self.redundancy_len()
    }
}

/// A payload of the right length. Borrowed and unpacked on demand.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    header: Header,
    primary: &'a [u8],
    redundancy: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Checks `bytes` against their header.
    ///
    /// # Errors
    /// Every [`PayloadError`] but [`PayloadError::Frames`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PayloadError> {
        let (&first, rest) = bytes.split_first().ok_or(PayloadError::Empty)?;
        let header = Header::from_byte(first)?;
        if header.payload_len() != bytes.len() {
            return Err(PayloadError::Length { expected: header.payload_len(), actual: bytes.len() });
        }
        let (primary, redundancy) = rest.split_at(header.primary_len());
        if header.silence && primary[0] & 0x80 != 0 {
            return Err(PayloadError::Silence);
        }
        Ok(Self { header, primary, redundancy })
    }

    /// The first byte.
    pub fn header(&self) -> Header {
        self.header
    }

    /// The primary frame `index`, oldest first. Stages above the rate's are 0.
    pub fn frame(&self, index: usize) -> Option<Codes> {
        if self.header.silence || index >= usize::from(self.header.frames) {
            return None;
        }
        let mut codes = Codes([0; STAGES]);
        let stages = usize::from(self.header.rate.stages());
        for (stage, code) in codes.0[..stages].iter_mut().enumerate() {
            *code = bits::read(self.primary, bits::position(usize::from(self.header.frames), index, stage));
        }
        Some(codes)
    }

    /// The first three stages of the frame `back` + 1 frames before the packet's first one: 0 is the newest.
    pub fn redundant(&self, back: usize) -> Option<Codes> {
        if back >= self.header.redundant_frames() {
            return None;
        }
        let mut codes = Codes([0; STAGES]);
        let stages = usize::from(REDUNDANT_STAGES);
        for (stage, code) in codes.0[..stages].iter_mut().enumerate() {
            *code = bits::read(self.redundancy, (back * stages + stage) * BITS as usize);
        }
        Some(codes)
    }

    /// The silence descriptor, if that is what the packet carries.
    pub fn silence(&self) -> Option<Silence> {
        self.header.silence.then(|| Silence::from_bytes([self.primary[0], self.primary[1], self.primary[2]]))
    }
}

#[cfg(test)]
mod tests;
