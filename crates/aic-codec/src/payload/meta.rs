//! The RTP header extension `urn:auralink:rtp-hdrext:aic-meta`: three bytes about how the packet was coded.
//!
//! Sent on change and once a second. In the one-byte form of RFC 8285 the element takes four bytes, a header with only
//! this extension eight. Observers read it without decoding; no decoder needs it.

use crate::codec::Rate;
use crate::control::{Mode, Reason};

/// The extension's name in `a=extmap`.
pub const URI: &str = "urn:auralink:rtp-hdrext:aic-meta";
/// Bytes of the element's data.
pub const LEN: usize = 3;

/// How a packet was coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meta {
    /// The mode the sender was told.
    pub mode: Mode,
    /// The rate; none while the sender falls back to Opus.
    pub rate: Option<Rate>,
    /// Why the sender falls back.
    pub reason: Option<Reason>,
    /// The quality score times 255; 0 while unknown.
    pub score: u8,
    /// Encode time in tenths of a millisecond, 25.5 ms at most.
    pub encode_time: u8,
}

impl Meta {
    /// The quality score, if known.
    pub fn quality_score(&self) -> Option<f32> {
        (self.score > 0).then(|| f32::from(self.score) / 255.0)
    }

    /// The element's data.
    pub const fn to_bytes(self) -> [u8; LEN] {
        let rate = match self.rate {
            Some(Rate::Low) => 0,
            Some(Rate::Mid) => 1,
            Some(Rate::High) => 2,
            None => 3,
        };
        let reason = match self.reason {
            Some(reason) => reason as u8 + 1,
            None => 0,
        };
        [(self.mode as u8) << 6 | rate << 4 | reason, self.score, self.encode_time]
    }

    /// Reads the element's data. Longer data of a later version are read as far as they are known.
    ///
    /// `None` if it is too short or has a mode or reason that does not exist.
    pub fn from_bytes(data: &[u8]) -> Option<Self> {
        let &[first, score, encode_time, ..] = data else { return None };
        let rate = match first >> 4 & 3 {
            0 => Some(Rate::Low),
            1 => Some(Rate::Mid),
            2 => Some(Rate::High),
            _ => None,
        };
        let reason = match first & 15 {
            0 => None,
            index => Some(*Reason::ALL.get(usize::from(index) - 1)?),
        };
        Some(Self { mode: *Mode::ALL.get(usize::from(first >> 6))?, rate, reason, score, encode_time })
    }

    /// The element in RFC 8285's one-byte form. `id` is 1–14, as negotiated.
    pub const fn to_element(self, id: u8) -> [u8; 1 + LEN] {
        let [a, b, c] = self.to_bytes();
        [id << 4 | (LEN as u8 - 1), a, b, c]
    }
}

/// The data of element `id` in `elements`, the body of a one-byte extension block (profile 0xBEDE).
pub fn find(elements: &[u8], id: u8) -> Option<&[u8]> {
    let mut rest = elements;
    while let Some((&first, after)) = rest.split_first() {
        match first >> 4 {
            // Padding.
            0 => rest = after,
            // Ends the block, says RFC 8285.
            15 => return None,
            found => {
                let (data, after) = after.split_at_checked(usize::from(first & 15) + 1)?;
                if found == id {
                    return Some(data);
                }
                rest = after;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_element_is_refused_or_comes_back(data in proptest::array::uniform3(any::<u8>())) {
            if let Some(meta) = Meta::from_bytes(&data) {
                prop_assert_eq!(meta.to_bytes(), data);
                let mut block = vec![0, 0x21, 9, 9];
                block.extend(meta.to_element(7));
                prop_assert_eq!(find(&block, 7), Some(&data[..]));
                prop_assert_eq!(find(&block, 5), None);
            }
        }

        #[test]
        fn any_block_can_be_searched(block in proptest::collection::vec(any::<u8>(), 0..40), id in 1_u8..15) {
            if let Some(data) = find(&block, id) {
                prop_assert!(!data.is_empty() && data.len() <= 16);
            }
        }
    }

    #[test]
    fn fields_lie_where_the_document_says() {
        let meta = Meta {
            mode: Mode::Adaptive,
            rate: None,
            reason: Some(Reason::Content),
            score: 230,
            encode_time: 12,
        };
        assert_eq!(meta.to_element(3), [0x32, 0b0111_0011, 230, 12]);
        assert_eq!(Meta::from_bytes(&[0x40]), None);
    }
}
