//! Ten-bit codes in bytes, most significant bit first, and where each one lies.
//!
//! Codes start at even bits, so one never touches more than two bytes.

use crate::codec::BITS;

/// Stages per layer, coarse to fine: what the three rates add to each other.
const LAYERS: [usize; 3] = [3, 3, 6];

/// First bit of `stage` of frame `index` of `frames`: layer by layer, inside a layer frame by frame.
pub(super) fn position(frames: usize, index: usize, stage: usize) -> usize {
    let mut before = 0;
    let mut first = 0;
    for stages in LAYERS {
        if stage < first + stages {
            return (before * frames + index * stages + stage - first) * BITS as usize;
        }
        before += stages;
        first += stages;
    }
    unreachable!("stages end at {before}")
}

/// The code at bit `at`.
pub(super) fn read(bytes: &[u8], at: usize) -> u16 {
    let pair = |index: usize| u16::from(bytes.get(index).copied().unwrap_or(0));
    let window = pair(at / 8) << 8 | pair(at / 8 + 1);
    window >> (16 - BITS as usize - at % 8) & 0x3ff
}

/// Puts the low ten bits of `code` at bit `at`; the bytes hold zeros there.
pub(super) fn write(bytes: &mut [u8], at: usize, code: u16) {
    let window = (code & 0x3ff) << (16 - BITS as usize - at % 8);
    let [high, low] = window.to_be_bytes();
    bytes[at / 8] |= high;
    if low != 0 {
        bytes[at / 8 + 1] |= low;
    }
}
