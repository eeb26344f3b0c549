//! `join_request` of the signalling URL: base64, gzip, protobuf.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| webrtc_sfu::fuzzing::join_request(text));
