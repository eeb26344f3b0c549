//! Round trips, truncation and refusal of payloads.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn frame() -> impl Strategy<Value = Codes> {
    proptest::array::uniform12(0_u16..1024).prop_map(Codes)
}

fn rate() -> impl Strategy<Value = Rate> {
    proptest::sample::select(Rate::ALL.to_vec())
}

/// What is left of `codes` when `stages` of them were sent.
fn first(codes: Codes, stages: u8) -> Codes {
    let mut kept = Codes([0; STAGES]);
    kept.0[..usize::from(stages)].copy_from_slice(&codes.0[..usize::from(stages)]);
    kept
}

proptest! {
    #[test]
    fn every_frame_comes_back(
        rate in rate(),
        frames in proptest::collection::vec(frame(), 1..=MAX_FRAMES),
        earlier in proptest::collection::vec(frame(), 0..30),
        depth in 0_u8..5,
    ) {
        let bytes = build(rate, &frames, &earlier, depth).unwrap();
        prop_assert!(bytes.len() <= MAX_LEN);
        let payload = Payload::parse(&bytes).unwrap();
        for (index, codes) in frames.iter().enumerate() {
            prop_assert_eq!(payload.frame(index), Some(first(*codes, rate.stages())));
        }
        prop_assert_eq!(payload.frame(frames.len()), None);
        let depth = usize::from(depth.min(MAX_DEPTH)).min(earlier.len() / frames.len());
        prop_assert_eq!(usize::from(payload.header().depth), depth);
        for (back, codes) in earlier[..depth * frames.len()].iter().enumerate() {
            prop_assert_eq!(payload.redundant(back), Some(first(*codes, REDUNDANT_STAGES)));
        }
        prop_assert_eq!(payload.redundant(depth * frames.len()), None);
    }

    #[test]
    fn truncating_is_building_at_the_lower_rate(
        high in rate(),
        low in rate(),
        frames in proptest::collection::vec(frame(), 1..=MAX_FRAMES),
        earlier in proptest::collection::vec(frame(), 0..24),
        depth in 0_u8..=3,
    ) {
        let full = build(high, &frames, &earlier, depth).unwrap();
        let cut = truncate(&full, low).unwrap();
        prop_assert_eq!(cut, build(high.min(low), &frames, &earlier, depth).unwrap());
    }

    #[test]
    fn silence_comes_back_and_survives_truncation(
        rate in rate(),
        level in 0_u8..128,
        bands in proptest::array::uniform4(0_u8..16),
        unit in 1..=MAX_FRAMES,
        earlier in proptest::collection::vec(frame(), 0..24),
    ) {
        let silence = Silence { level, bands };
        let bytes = build_silence(rate, silence, unit, &earlier, 3).unwrap();
        for to in Rate::ALL {
            let cut = truncate(&bytes, to).unwrap();
            let payload = Payload::parse(&cut).unwrap();
            prop_assert_eq!(payload.silence(), Some(silence));
            prop_assert_eq!(payload.frame(0), None);
            prop_assert_eq!(payload.redundant(0), Payload::parse(&bytes).unwrap().redundant(0));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        let parsed = Payload::parse(&bytes);
        prop_assert_eq!(truncate(&bytes, Rate::Low).is_some(), parsed.is_ok());
        let deeper = deepen(&bytes, &[Codes([1_023; STAGES]); 24], MAX_DEPTH);
        prop_assert!(deeper.is_none_or(|deeper| Payload::parse(&deeper).is_ok()));
        if let Ok(payload) = parsed {
            prop_assert!(bytes.len() <= MAX_LEN);
            for index in 0..usize::from(payload.header().frames) {
                prop_assert_eq!(payload.frame(index).is_none(), payload.header().silence);
            }
        }
    }

    #[test]
    fn the_header_byte_is_its_fields(byte in 0_u8..0xc0) {
        prop_assert_eq!(Header::from_byte(byte).unwrap().to_byte(), byte);
    }
}

#[test]
fn sizes_are_those_of_the_bandwidth_table() {
    let len = |rate, frames, depth| Header { rate, silence: false, depth, frames }.payload_len();
    // 6.4 kbit/s: exactly 80 % below 32.
    assert_eq!(len(Rate::High, 1, 0), 16);
    assert_eq!(len(Rate::High, 3, 0), 46);
    assert_eq!(len(Rate::Mid, 3, 0), 24);
    assert_eq!(len(Rate::Low, 5, 0), 20);
    assert_eq!(len(Rate::High, 1, 2), 24);
    assert_eq!(len(Rate::High, 8, 3), MAX_LEN);
    assert_eq!(Header { rate: Rate::High, silence: true, depth: 0, frames: 1 }.payload_len(), 4);
}

/// The worked example of docs/aic-payload.md.
#[test]
fn the_documented_example() {
    let codes = |start: u16| Codes(std::array::from_fn(|stage| start + stage as u16));
    let payload = build(Rate::Mid, &[codes(513), codes(1)], &[codes(257), codes(0), codes(0)], 1).unwrap();
    let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, DOCUMENTED);
    let low: String =
        truncate(&payload, Rate::Low).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(low, DOCUMENTED_LOW);
}

const DOCUMENTED: &str = "498060280c01008038120581804014064050240c00004020";
const DOCUMENTED_LOW: &str = "098060280c010080304050240c00004020";

#[test]
fn what_is_wrong_is_said() {
    assert_eq!(Payload::parse(&[]).unwrap_err(), PayloadError::Empty);
    assert_eq!(Payload::parse(&[0xc0; 9]).unwrap_err(), PayloadError::ReservedRate);
    assert_eq!(Payload::parse(&[0x80; 15]).unwrap_err(), PayloadError::Length { expected: 16, actual: 15 });
    assert_eq!(Payload::parse(&[0x80; 17]).unwrap_err(), PayloadError::Length { expected: 16, actual: 17 });
    assert_eq!(Payload::parse(&[0xa0, 0x80, 0, 0]).unwrap_err(), PayloadError::Silence);
    assert_eq!(build(Rate::Low, &[], &[], 0).unwrap_err(), PayloadError::Frames(0));
    assert_eq!(build(Rate::Low, &[Codes([0; STAGES]); 9], &[], 0).unwrap_err(), PayloadError::Frames(9));
}

#[test]
fn powers_survive_within_half_a_step() {
    let powers = [1e-6, 3e-7, 1e-8, 0.0];
    let back = Silence::from_powers(powers).powers();
    for (sent, got) in powers.into_iter().zip(back).take(3) {
        assert!((10.0 * (sent / got).log10()).abs() < 2.6, "{sent} {got}");
    }
    assert_eq!(Silence::from_powers([0.0; 4]).powers(), [0.0; 4]);
}
