//! A payload at a lower rate, without decoding: the frames' finer stages lie behind the coarse ones and are cut off.

use bytes::Bytes;

use super::{Header, Payload};
use crate::codec::Rate;

/// The same frames at `rate`, redundancy kept. A payload at that rate or below comes back as it is.
///
/// `None` if `payload` is malformed.
pub fn truncate(payload: &Bytes, rate: Rate) -> Option<Bytes> {
    let parsed = Payload::parse(payload).ok()?;
    let header = Header { rate, ..parsed.header() };
    if parsed.header().rate <= rate {
        return Some(payload.clone());
    }
    let mut bytes = Vec::with_capacity(header.payload_len());
    bytes.push(header.to_byte());
    bytes.extend_from_slice(&parsed.primary[..header.primary_len()]);
    // The last byte kept may hold the first bits of a stage that is cut off.
    let used = usize::from(header.frames) * rate.bits_per_frame() as usize % 8;
    if !header.silence && used != 0 {
        *bytes.last_mut().expect("the header byte") &= 0xff << (8 - used);
    }
    bytes.extend_from_slice(parsed.redundancy);
    Some(bytes.into())
}
