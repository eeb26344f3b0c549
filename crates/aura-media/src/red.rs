//! RFC 2198 redundant audio: finding the primary block, for receivers that did not negotiate RED.

/// The primary (newest) encoding inside a RED payload, with its payload type; `None` when malformed.
#[must_use]
pub fn primary(payload: &[u8]) -> Option<(u8, &[u8])> {
    let mut offset = 0;
    let mut redundant_bytes = 0;
    loop {
        let header = *payload.get(offset)?;
        if header & 0x80 == 0 {
            let body = payload.get(offset + 1 + redundant_bytes..)?;
            return Some((header & 0x7f, body));
        }
        let high = usize::from(*payload.get(offset + 2)? & 0x03);
        let low = usize::from(*payload.get(offset + 3)?);
        redundant_bytes += high << 8 | low;
        offset += 4;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_the_primary_behind_one_redundant_block() {
        // One redundant block of 3 bytes (PT 111, offset 960), then the primary.
        let timestamp_offset = 960_u16 << 2;
        let [a, b] = timestamp_offset.to_be_bytes();
        let payload = [0x80 | 111, a, b, 3, 111, 1, 2, 3, 9, 8];
        assert_eq!(primary(&payload), Some((111, &[9, 8][..])));
    }

    #[test]
    fn a_lone_primary_is_everything_after_one_byte() {
        assert_eq!(primary(&[111, 5, 6]), Some((111, &[5, 6][..])));
    }

    proptest! {
        #[test]
        fn hostile_payloads_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = primary(&payload);
        }
    }
}
