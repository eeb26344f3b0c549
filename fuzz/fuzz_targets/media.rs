//! RTP payloads of every codec: keyframe detection and RED.
#![no_main]

use aura_media::{Codec, keyframe, red};

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    for codec in Codec::ALL {
        keyframe::starts_keyframe(codec, payload);
    }
    if let Some((_, primary)) = red::primary(payload) {
        assert!(primary.len() < payload.len());
    }
    if let Some(copy) = red::newest_copy(payload) {
        assert!(copy.data.len() + 5 <= payload.len());
    }
});
