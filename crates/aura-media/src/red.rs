//! RFC 2198 redundant audio: one block with the newest encoding, behind it copies of earlier ones.

/// Bits of a timestamp offset, and of a block's length.
const OFFSET_BITS: u32 = 14;
const LENGTH_BITS: u32 = 10;

/// An earlier encoding that a payload carries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy<'a> {
    /// Its payload type.
    pub payload_type: u8,
    /// How long before the packet's timestamp it began, in units of the clock.
    pub ticks_back: u16,
    /// The encoding.
    pub data: &'a [u8],
}

/// The primary (newest) encoding inside a RED payload, with its payload type; `None` when malformed.
#[must_use]
pub fn primary(payload: &[u8]) -> Option<(u8, &[u8])> {
    let (copies, header) = headers(payload)?;
    let earlier: usize = (0..copies).map(|index| length(&payload[4 * index..])).sum();
    Some((header & 0x7f, payload.get(4 * copies + 1 + earlier..)?))
}

/// The newest of the copies: what the packet before this one carried, where one packet is repeated.
#[must_use]
pub fn newest_copy(payload: &[u8]) -> Option<Copy<'_>> {
    let (copies, _) = headers(payload)?;
    let last = copies.checked_sub(1)?;
    let start = 4 * copies + 1 + (0..last).map(|index| length(&payload[4 * index..])).sum::<usize>();
    let header = &payload[4 * last..];
    Some(Copy {
        payload_type: header[0] & 0x7f,
        ticks_back: u16::from_be_bytes([header[1], header[2]]) >> 2,
        data: payload.get(start..start + length(header))?,
    })
}

/// A payload with one copy in front of `data`; `None` where the copy is too old or too long for the header's fields.
#[must_use]
pub fn with_copy(copy: Copy<'_>, payload_type: u8, data: &[u8]) -> Option<Vec<u8>> {
    if copy.ticks_back >> OFFSET_BITS != 0 || copy.data.len() >> LENGTH_BITS != 0 {
        return None;
    }
    let fields = u32::from(copy.ticks_back) << LENGTH_BITS | copy.data.len() as u32;
    let [_, high, middle, low] = fields.to_be_bytes();
    let mut payload = Vec::with_capacity(5 + copy.data.len() + data.len());
    payload.extend([0x80 | copy.payload_type, high, middle, low, payload_type & 0x7f]);
    payload.extend(copy.data);
    payload.extend(data);
    Some(payload)
}

/// How many copies there are, each with four bytes of header, and the one byte of the primary's.
fn headers(payload: &[u8]) -> Option<(usize, u8)> {
    let mut copies = 0;
    loop {
        let header = *payload.get(4 * copies)?;
        if header & 0x80 == 0 {
            return Some((copies, header));
        }
        copies += 1;
        payload.get(4 * copies)?;
    }
}

fn length(header: &[u8]) -> usize {
    usize::from(header[2] & 0x03) << 8 | usize::from(header[3])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One copy of 3 bytes (PT 111, 960 ticks back), then the primary.
    const ONE: [u8; 10] = [0x80 | 111, 0x0f, 0x00, 3, 111, 1, 2, 3, 9, 8];

    #[test]
    fn finds_the_primary_behind_one_copy() {
        assert_eq!(primary(&ONE), Some((111, &[9, 8][..])));
    }

    #[test]
    fn a_lone_primary_is_everything_after_one_byte() {
        assert_eq!(primary(&[111, 5, 6]), Some((111, &[5, 6][..])));
        assert_eq!(newest_copy(&[111, 5, 6]), None);
    }

    #[test]
    fn the_newest_of_two_copies_is_the_second() {
        let payload = [0x80 | 111, 0x1e, 0x00, 2, 0x80 | 112, 0x0f, 0x00, 1, 111, 1, 2, 3, 9, 8];
        assert_eq!(newest_copy(&payload), Some(Copy { payload_type: 112, ticks_back: 960, data: &[3] }));
        assert_eq!(primary(&payload), Some((111, &[9, 8][..])));
    }

    #[test]
    fn what_does_not_fit_the_header_is_not_written() {
        let copy = |ticks_back, data| Copy { payload_type: 111, ticks_back, data };
        assert_eq!(with_copy(copy(960, &[1, 2, 3]), 111, &[9, 8]).as_deref(), Some(&ONE[..]));
        assert_eq!(with_copy(copy(1 << 14, &[1]), 111, &[2]), None);
        assert_eq!(with_copy(copy(960, &[0; 1024]), 111, &[2]), None);
    }

    proptest! {
        #[test]
        fn hostile_payloads_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (primary(&payload), newest_copy(&payload));
        }

        #[test]
        fn what_is_written_is_read(
            ticks_back in 0_u16..1 << 14,
            earlier in proptest::collection::vec(any::<u8>(), 0..1024),
            data in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let copy = Copy { payload_type: 111, ticks_back, data: &earlier };
            let payload = with_copy(copy, 112, &data).unwrap();
            prop_assert_eq!(newest_copy(&payload), Some(copy));
            prop_assert_eq!(primary(&payload), Some((112, &data[..])));
        }
    }
}
