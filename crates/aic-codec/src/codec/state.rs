//! A stream's memory as bytes, so that another process with the same model can go on with it.
//!
//! Layout, little-endian: `AICS`, version (1 byte), side (1), the model's fingerprint (8), lost frames (2), gain (4),
//! number of floats (4), the floats, and the first 8 bytes of the SHA-256 of all that. The checksum finds accidents, not
//! forgeries; what a forger could send is bounded: the length is fixed and every number small.

use sha2::{Digest, Sha256};

use super::conceal::Fade;
use crate::backend::Memory;
use crate::error::{CodecError, StateError};

const MAGIC: &[u8; 4] = b"AICS";
const VERSION: u8 = 1;
const HEADER: usize = 24;
const CHECKSUM: usize = 8;
/// No memory of a working network comes near; beyond it, one step could overflow to infinity.
const LARGEST: f32 = 1e6;

/// Whose memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Encoder = 0,
    Decoder = 1,
}

pub(crate) fn write<M: Memory + ?Sized>(fingerprint: [u8; 8], side: Side, fade: Fade, memory: &M) -> Vec<u8> {
    let mut floats = Vec::with_capacity(memory.len());
    memory.export(&mut floats);
    let mut bytes = Vec::with_capacity(HEADER + 4 * floats.len() + CHECKSUM);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[VERSION, side as u8]);
    bytes.extend_from_slice(&fingerprint);
    bytes.extend_from_slice(&fade.lost.to_le_bytes());
    bytes.extend_from_slice(&fade.gain.to_le_bytes());
    bytes.extend_from_slice(&(floats.len() as u32).to_le_bytes());
    for value in floats {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

pub(crate) fn read<M: Memory + ?Sized>(
    fingerprint: [u8; 8],
    side: Side,
    memory: &mut M,
    bytes: &[u8],
) -> Result<Fade, CodecError> {
    let (fade, floats) = parse(fingerprint, side, memory.len(), bytes)?;
    memory.import(&floats);
    Ok(fade)
}

fn parse(fingerprint: [u8; 8], side: Side, len: usize, bytes: &[u8]) -> Result<(Fade, Vec<f32>), StateError> {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else { return Err(StateError::Length) };
    if &header[..4] != MAGIC {
        return Err(StateError::Format);
    }
    if header[4] != VERSION {
        return Err(StateError::Version(header[4]));
    }
    if header[5] != side as u8 {
        return Err(StateError::Side);
    }
    if header[6..14] != fingerprint {
        return Err(StateError::Model);
    }
    if bytes.len() != HEADER + 4 * len + CHECKSUM || word(header, 20) as usize != len {
        return Err(StateError::Length);
    }
    let (body, sum) = bytes.split_at(bytes.len() - CHECKSUM);
    if sum != checksum(body) {
        return Err(StateError::Checksum);
    }
    let fade =
        Fade { lost: u16::from_le_bytes([header[14], header[15]]), gain: f32::from_bits(word(header, 16)) };
    let (values, _) = body[HEADER..].as_chunks::<4>();
    let floats: Vec<f32> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
    // Not a number compares as false.
    if !floats.iter().all(|value| value.abs() <= LARGEST) || !(0.0..=1.0).contains(&fade.gain) {
        return Err(StateError::Values);
    }
    Ok((fade, floats))
}

fn word(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::digest(bytes);
    *digest.first_chunk().expect("a SHA-256 has 32 bytes")
}
