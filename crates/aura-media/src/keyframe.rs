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

/// RFC 6184: IDR or SPS, alone, in a STAP-A, or as the first fragment of an FU-A.
fn h264(payload: &[u8]) -> bool {
    const IDR: u8 = 5;
    const SPS: u8 = 7;
    let is_key = |nal: u8| matches!(nal & 0x1f, IDR | SPS);
    match payload.first().map(|byte| byte & 0x1f) {
        Some(24) => {
            let mut rest = payload.get(1..).unwrap_or_default();
            while let [high, low, body @ ..] = rest {
                let size = usize::from(u16::from_be_bytes([*high, *low]));
                if body.first().is_some_and(|nal| is_key(*nal)) {
                    return true;
                }
                rest = body.get(size..).unwrap_or_default();
            }
            false
        }
        Some(28) => payload.get(1).is_some_and(|fu| fu & 0x80 != 0 && is_key(*fu)),
        Some(_) => payload.first().is_some_and(|nal| is_key(*nal)),
        None => false,
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
        assert!(starts_keyframe(Codec::H264, &[0x65, 0]));
        assert!(starts_keyframe(Codec::H264, &[24, 0, 2, 0x67, 0, 0, 1, 0x68]));
        assert!(starts_keyframe(Codec::H264, &[0x7c, 0x85, 0]));
        assert!(!starts_keyframe(Codec::H264, &[0x7c, 0x05, 0]), "middle fragment");
        assert!(!starts_keyframe(Codec::H264, &[0x41, 0]));
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
