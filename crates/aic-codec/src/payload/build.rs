//! Frames to payloads.

use bytes::Bytes;

use super::{Header, MAX_DEPTH, MAX_FRAMES, Payload, PayloadError, REDUNDANT_STAGES, Silence, bits};
use crate::codec::{BITS, Codes, Rate};

/// A payload of `frames`, oldest first, at `rate`.
///
/// `earlier` are the frames before them without a gap, newest first. As many of them are repeated as fill whole packets
/// of this one's length, `depth` packets at most: a receiver that misses that many has all their frames.
///
/// # Errors
/// [`PayloadError::Frames`] if there are not 1 to 8 frames.
pub fn build(rate: Rate, frames: &[Codes], earlier: &[Codes], depth: u8) -> Result<Bytes, PayloadError> {
    let count = count(frames.len())?;
    let header = Header { rate, silence: false, depth: reach(earlier, depth, count), frames: count };
    let mut bytes = start(header);
    let (primary, redundancy) = bytes[1..].split_at_mut(header.primary_len());
    for (index, codes) in frames.iter().enumerate() {
        for (stage, &code) in codes.0[..usize::from(rate.stages())].iter().enumerate() {
            bits::write(primary, bits::position(frames.len(), index, stage), code);
        }
    }
    repeat(redundancy, header, earlier);
    Ok(bytes.into())
}

/// A payload that describes silence, with the last frames before it if `depth` asks for them; `unit` is the number of
/// frames that one step of depth counts, usually that of the packets before.
///
/// # Errors
/// [`PayloadError::Frames`] if `unit` is not 1 to 8.
pub fn build_silence(
    rate: Rate,
    silence: Silence,
    unit: usize,
    earlier: &[Codes],
    depth: u8,
) -> Result<Bytes, PayloadError> {
    let count = count(unit)?;
    let header = Header { rate, silence: true, depth: reach(earlier, depth, count), frames: count };
    let mut bytes = start(header);
    let (primary, redundancy) = bytes[1..].split_at_mut(header.primary_len());
    primary.copy_from_slice(&silence.to_bytes());
    repeat(redundancy, header, earlier);
    Ok(bytes.into())
}

/// The same payload with the packets before it repeated, `depth` back: what a forwarder does for a receiver that loses
/// more than the sender knows of. `earlier` as for [`build`].
///
/// `None` if there is nothing to add: it is malformed, repeats as much already, or `earlier` fills no packet.
pub fn deepen(payload: &[u8], earlier: &[Codes], depth: u8) -> Option<Bytes> {
    let parsed = Payload::parse(payload).ok()?;
    let depth = reach(earlier, depth, parsed.header.frames);
    if depth <= parsed.header.depth {
        return None;
    }
    let header = Header { depth, ..parsed.header };
    let mut bytes = start(header);
    let (primary, redundancy) = bytes[1..].split_at_mut(header.primary_len());
    primary.copy_from_slice(parsed.primary);
    repeat(redundancy, header, earlier);
    Some(bytes.into())
}

fn count(frames: usize) -> Result<u8, PayloadError> {
    if (1..=MAX_FRAMES).contains(&frames) { Ok(frames as u8) } else { Err(PayloadError::Frames(frames)) }
}

fn reach(earlier: &[Codes], depth: u8, frames: u8) -> u8 {
    let whole = earlier.len() / usize::from(frames);
    depth.min(MAX_DEPTH).min(u8::try_from(whole).unwrap_or(MAX_DEPTH))
}

fn start(header: Header) -> Vec<u8> {
    let mut bytes = vec![0; header.payload_len()];
    bytes[0] = header.to_byte();
    bytes
}

fn repeat(redundancy: &mut [u8], header: Header, earlier: &[Codes]) {
    let stages = usize::from(REDUNDANT_STAGES);
    for (back, codes) in earlier[..header.redundant_frames()].iter().enumerate() {
        for (stage, &code) in codes.0[..stages].iter().enumerate() {
            bits::write(redundancy, (back * stages + stage) * BITS as usize, code);
        }
    }
}
