//! Signalling messages and data packets, as bytes, into a room of two.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| webrtc_sfu::fuzzing::room(bytes));
