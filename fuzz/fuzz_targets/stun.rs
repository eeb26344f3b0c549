//! The user name in a STUN request from an unknown address.
#![no_main]

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| webrtc_sfu::fuzzing::stun(datagram));
