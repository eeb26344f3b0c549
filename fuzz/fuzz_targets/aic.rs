//! AIC payloads: parsing, cutting to a lower rate, repeating the past, building again; session parameters; the header extension.
#![no_main]

use aic_codec::Rate;
use aic_codec::payload::{self, Payload, meta, sdp};
use bytes::Bytes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(found) = meta::find(bytes, 3) {
        meta::Meta::from_bytes(found);
    }
    if let Ok(fmtp) = std::str::from_utf8(bytes).map_err(drop).and_then(|text| sdp::Fmtp::parse(text).map_err(drop)) {
        assert!(fmtp.agree(&fmtp).is_ok() != fmtp.rates.is_empty());
    }
    let shared = Bytes::copy_from_slice(bytes);
    let Ok(parsed) = Payload::parse(bytes) else {
        assert!(payload::truncate(&shared, Rate::Low).is_none());
        return;
    };
    assert!(bytes.len() <= payload::MAX_LEN);
    let header = parsed.header();
    let frames: Vec<_> = (0..8).map_while(|index| parsed.frame(index)).collect();
    let earlier: Vec<_> = (0..24).map_while(|back| parsed.redundant(back)).collect();
    let rebuilt = |rate| match parsed.silence() {
        Some(silence) => {
            payload::build_silence(rate, silence, usize::from(header.frames), &earlier, header.depth)
        }
        None => payload::build(rate, &frames, &earlier, header.depth),
    };
    for rate in Rate::ALL {
        // Padding may hold anything on the way in; what we build has zeros there, so compare what is read.
        let cut = payload::truncate(&shared, rate).expect("it parsed");
        let built = rebuilt(rate.min(header.rate)).expect("it parsed");
        let (cut, built) = (Payload::parse(&cut).expect("cut"), Payload::parse(&built).expect("built"));
        assert_eq!(cut.header(), built.header());
        assert_eq!(cut.silence(), built.silence());
        assert!((0..8).all(|index| cut.frame(index) == built.frame(index)));
        assert!((0..24).all(|back| cut.redundant(back) == built.redundant(back)));
    }
    let mut history = payload::History::default();
    history.note(u32::from(bytes[0]).wrapping_mul(0x0101_0101), &parsed);
    history.note(0, &parsed);
    let past = history.before(payload::TICKS_PER_FRAME * u32::from(header.frames));
    if let Some(deeper) = payload::deepen(bytes, &past, payload::MAX_DEPTH) {
        let deeper = Payload::parse(&deeper).expect("it parsed");
        assert!(deeper.header().depth > header.depth);
        assert!((0..8).all(|index| deeper.frame(index) == parsed.frame(index)));
    }
});
