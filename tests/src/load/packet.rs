//! Payloads that say when they were sent and in which window.
//!
//! The mark is at the end, because servers rewrite the beginning of VP8 payloads.

use std::sync::Arc;

const MAGIC: u32 = 0x4175_7261;
const MARK_BYTES: usize = 16;

/// What a payload says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The measuring window it belongs to; 0 is none.
    pub(super) window: u32,
    /// Nanoseconds since the generator began.
    pub(super) sent_ns: u64,
}

impl Mark {
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let mark = payload.get(payload.len().checked_sub(MARK_BYTES)?..)?;
        let (magic, rest) = mark.split_at(4);
        let (window, sent_ns) = rest.split_at(4);
        (magic == MAGIC.to_be_bytes()).then_some(Self {
            window: u32::from_be_bytes(window.try_into().ok()?),
            sent_ns: u64::from_be_bytes(sent_ns.try_into().ok()?),
        })
    }

    fn write(self, payload: &mut [u8]) {
        let start = payload.len() - MARK_BYTES;
        payload[start..start + 4].copy_from_slice(&MAGIC.to_be_bytes());
        payload[start + 4..start + 8].copy_from_slice(&self.window.to_be_bytes());
        payload[start + 8..].copy_from_slice(&self.sent_ns.to_be_bytes());
    }
}

/// An Opus packet of `size` bytes.
pub(super) fn opus(size: usize, mark: Mark) -> Arc<[u8]> {
    // TOC: SILK-only wideband, 20 ms, mono, one frame.
    filled(&[0x48], size, mark)
}

/// One packet of a VP8 frame (RFC 7741): `first` begins the frame.
pub(super) fn vp8(size: usize, picture_id: u16, first: bool, keyframe: bool, mark: Mark) -> Arc<[u8]> {
    let [high, low] = (picture_id & 0x7fff).to_be_bytes();
    let start = if first { 0x10 } else { 0x00 };
    let descriptor = [0x80 | start, 0x80, 0x80 | high, low];
    let frame_tag = u8::from(!keyframe);
    // A keyframe goes on with its start code and its size, 640×360.
    let header = [frame_tag, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
    let mut head = descriptor.to_vec();
    if first {
        head.extend_from_slice(if keyframe { &header } else { &header[..3] });
    }
    filled(&head, size, mark)
}

fn filled(head: &[u8], size: usize, mark: Mark) -> Arc<[u8]> {
    let mut payload = vec![0xa5; size.max(head.len() + MARK_BYTES)];
    payload[..head.len()].copy_from_slice(head);
    mark.write(&mut payload);
    payload.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { window: 3, sent_ns: 1 << 40 };

    #[test]
    fn the_mark_survives_in_every_payload() {
        assert_eq!(Mark::read(&opus(100, MARK)), Some(MARK));
        assert_eq!(Mark::read(&vp8(1_100, 700, true, true, MARK)), Some(MARK));
        assert_eq!(Mark::read(&vp8(10, 700, false, false, MARK)), Some(MARK), "made large enough");
        assert_eq!(Mark::read(&[0; 40]), None);
        assert_eq!(Mark::read(&[]), None);
    }

    #[test]
    fn vp8_says_where_a_frame_begins_and_whether_it_is_a_keyframe() {
        let keyframe = vp8(100, 0x1234, true, true, MARK);
        assert_eq!(keyframe[..4], [0x90, 0x80, 0x92, 0x34]);
        assert_eq!(keyframe[4] & 1, 0);
        assert_eq!(vp8(100, 1, true, false, MARK)[4] & 1, 1);
        assert_eq!(vp8(100, 1, false, true, MARK)[0] & 0x10, 0);
    }
}
