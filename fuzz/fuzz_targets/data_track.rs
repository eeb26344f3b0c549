//! Packets of data tracks, through the room to a subscriber.
#![no_main]

libfuzzer_sys::fuzz_target!(|packet: &[u8]| webrtc_sfu::fuzzing::data_track(packet));
