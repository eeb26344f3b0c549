//! Does this RTP payload begin a keyframe?
//!
//! A receiver can start decoding, and a layer switch can happen, only there. The answer is for the *first* packet of
//! the picture; continuation packets answer no.

use crate::codec::Codec;

/// Whether `payload` (without RTP header) is the first packet of a keyframe of `codec`. Audio always is.
#[must_use]
pub fn starts_keyframe(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Opus | Codec::Aic | Codec::Pcmu | Codec::Pcma => true,
        Codec::Vp8 => vp8(payload),
        Codec::Vp9 => vp9(payload),
        Codec::H264 => h264(payload),
        Codec::H265 => h265(payload),
        Codec::Av1 => av1(payload),
    }
}

/// RFC 7741 §4.2: descriptor, then the frame header whose lowest bit is 0 on keyframes.
fn vp8(payload: &[u8]) -> bool {
    let Some(&first) = payload.first() else { return false };
    let starts_partition_zero = first & 0x10 != 0 && first & 0x07 == 0;
    let mut offset = 1;
    if first & 0x80 != 0 {
        let Some(&extension) = payload.get(offset) else { return false };
        offset += 1;
        if extension & 0x80 != 0 {
            let Some(&picture_id) = payload.get(offset) else { return false };
            offset += if picture_id & 0x80 != 0 { 2 } else { 1 };
        }
        offset += usize::from(extension & 0x40 != 0);
        offset += usize::from(extension & 0x30 != 0);
    }
    starts_partition_zero && payload.get(offset).is_some_and(|header| header & 0x01 == 0)
}

/// RFC 9628 §4.2: not inter-predicted (P = 0), begins a frame (B = 1), lowest spatial layer.
fn vp9(payload: &[u8]) -> bool {
    let Some(&first) = payload.first() else { return false };
    let (has_picture_id, predicted, has_layers, begins) =
        (first & 0x80 != 0, first & 0x40 != 0, first & 0x20 != 0, first & 0x08 != 0);
    if predicted || !begins {
        return false;
    }
    if !has_layers {
        return true;
    }
    let mut offset = 1;
    if has_picture_id {
        let Some(&id) = payload.get(offset) else { return false };
        offset += if id & 0x80 != 0 { 2 } else { 1 };
    }
    payload.get(offset).is_some_and(|layer| (layer >> 1) & 0x07 == 0)
}

/// RFC 6184: the SPS that begins a keyframe, or the first slice of an IDR picture; alone, in a STAP-A, or as the first
/// fragment of an FU-A. A later slice of that picture is no beginning.
fn h264(payload: &[u8]) -> bool {
    const IDR: u8 = 5;
    const SPS: u8 = 7;
    // `first_mb_in_slice` comes first in a slice, Exp-Golomb coded: 0 is a single set bit.
    let begins = |kind: u8, body: &[u8]| match kind & 0x1f {
        SPS => true,
        IDR => body.first().is_some_and(|byte| byte & 0x80 != 0),
        _ => false,
    };
    match payload {
        [header, rest @ ..] if header & 0x1f == 24 => {
            let mut rest = rest;
            while let [high, low, unit @ ..] = rest {
                let size = usize::from(u16::from_be_bytes([*high, *low]));
                if let [kind, body @ ..] = unit
                    && begins(*kind, body)
                {
                    return true;
                }
                rest = unit.get(size..).unwrap_or_default();
            }
            false
        }
        [header, fragment, body @ ..] if header & 0x1f == 28 => {
            fragment & 0x80 != 0 && begins(*fragment, body)
        }
        [kind, body @ ..] => begins(*kind, body),
        [] => false,
    }
}

/// RFC 7798: IRAP pictures (16–23) or parameter sets (32–34), alone, aggregated (48) or fragmented (49).
fn h265(payload: &[u8]) -> bool {
    let is_key = |nal_type: u8| matches!(nal_type, 16..=23 | 32..=34);
    let nal_type = |byte: u8| (byte >> 1) & 0x3f;
    match payload.first().map(|byte| nal_type(*byte)) {
        Some(48) => payload.get(4).is_some_and(|byte| is_key(nal_type(*byte))),
        Some(49) => payload.get(2).is_some_and(|fu| fu & 0x80 != 0 && is_key(fu & 0x3f)),
        Some(kind) => is_key(kind),
        None => false,
    }
}

/// AV1 RTP §4.4: the aggregation header's N bit marks a new coded video sequence.
fn av1(payload: &[u8]) -> bool {
    payload.first().is_some_and(|header| header & 0x08 != 0 && header & 0x80 == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vp8_keyframe_is_recognised_with_and_without_descriptor_extension() {
        assert!(starts_keyframe(Codec::Vp8, &[0x10, 0x50]));
        assert!(!starts_keyframe(Codec::Vp8, &[0x10, 0x51]), "interframe");
        assert!(starts_keyframe(Codec::Vp8, &[0x90, 0xf0, 0x81, 0x02, 0x03, 0x04, 0x50]));
        assert!(!starts_keyframe(Codec::Vp8, &[0x00, 0x50]), "not the first packet of the partition");
    }

    #[test]
    fn h264_idr_is_recognised_alone_aggregated_and_fragmented() {
        assert!(starts_keyframe(Codec::H264, &[0x65, 0x88]));
        assert!(starts_keyframe(Codec::H264, &[24, 0, 2, 0x67, 0, 0, 1, 0x68]));
        assert!(starts_keyframe(Codec::H264, &[24, 0, 1, 0x09, 0, 2, 0x65, 0x88]), "behind a delimiter");
        assert!(starts_keyframe(Codec::H264, &[0x7c, 0x85, 0x88]));
        assert!(!starts_keyframe(Codec::H264, &[0x7c, 0x05, 0x88]), "middle fragment");
        assert!(!starts_keyframe(Codec::H264, &[0x65, 0x40]), "second slice");
        assert!(!starts_keyframe(Codec::H264, &[0x7c, 0x85, 0x40]), "second slice in fragments");
        assert!(!starts_keyframe(Codec::H264, &[0x41, 0x88]));
        assert!(!starts_keyframe(Codec::H264, &[0x68, 0x88]), "a PPS alone");
    }

    #[test]
    fn av1_needs_the_start_of_a_new_sequence() {
        assert!(starts_keyframe(Codec::Av1, &[0x18, 0x0a]), "N set, one element");
        assert!(!starts_keyframe(Codec::Av1, &[0x10, 0x32]), "an interframe");
        assert!(!starts_keyframe(Codec::Av1, &[0x98, 0x0a]), "goes on with an element of the packet before");
        assert!(!starts_keyframe(Codec::Av1, &[]));
    }

    #[test]
    fn vp9_needs_an_unpredicted_start_of_the_lowest_layer() {
        assert!(starts_keyframe(Codec::Vp9, &[0x08]));
        assert!(!starts_keyframe(Codec::Vp9, &[0x48]));
        assert!(starts_keyframe(Codec::Vp9, &[0xa8, 0x01, 0x00]));
        assert!(!starts_keyframe(Codec::Vp9, &[0xa8, 0x01, 0x02]), "second spatial layer");
    }

    proptest! {
        #[test]
        fn no_payload_panics(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            for codec in Codec::ALL {
                let _ = starts_keyframe(codec, &payload);
            }
        }
    }
}
