//! Session descriptions: reading offers, rewriting answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| webrtc_sfu::fuzzing::sdp(text));
