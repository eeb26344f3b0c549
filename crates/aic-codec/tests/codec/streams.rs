//! One stream's promises: frame by frame equals across a move, codes decode alike everywhere, gaps are concealed.

use aic_codec::{Arrived, Codes, Decoder, Encoder, FRAME, LATENT, Model, Rate, STAGES};

use crate::random::{self, Random, voice};

fn encode(encoder: &mut Encoder, voice: &[[f32; FRAME]]) -> Vec<Codes> {
    voice.iter().map(|frame| encoder.encode(frame).unwrap()).collect()
}

fn decode(decoder: &mut Decoder, codes: &[Codes], stages: u8) -> Vec<f32> {
    let mut out = [0.0; FRAME];
    let arrived = codes.iter().map(|codes| Arrived::Coded { codes, stages });
    arrived.flat_map(|arrived| decoder.decode(arrived, &mut out).map(|()| out).unwrap()).collect()
}

fn energy(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32
}

/// `Send` and `Sync`, as callers on many threads need.
#[test]
fn streams_may_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Model>();
    crosses::<Encoder>();
    crosses::<Decoder>();
}

#[test]
fn a_stream_that_moves_after_every_frame_goes_on_bit_for_bit() {
    let model = random::model(32, 64, 1);
    let voice = voice(45, 2);
    let codes = encode(&mut model.encoder(), &voice);
    let pcm = decode(&mut model.decoder(), &codes, 12);
    let (mut encoder, mut decoder) = (model.encoder(), model.decoder());
    let mut moved = Vec::new();
    for (n, frame) in voice.iter().enumerate() {
        let coded = encoder.encode(frame).unwrap();
        assert_eq!(coded, codes[n], "frame {n}");
        moved.extend(decode(&mut decoder, &[coded], 12));
        let (e, d) = (encoder.state(), decoder.state());
        (encoder, decoder) = (model.encoder(), model.decoder());
        encoder.restore(&e).unwrap();
        decoder.restore(&d).unwrap();
        assert_eq!((encoder.state(), decoder.state()), (e, d), "a restored state is the state");
    }
    assert_eq!(moved, pcm);
}

#[test]
fn a_fade_moves_with_the_stream() {
    let model = random::model(32, 32, 3);
    let codes = encode(&mut model.encoder(), &voice(4, 4));
    let mut decoder = model.decoder();
    decode(&mut decoder, &codes, 12);
    let mut out = [0.0; FRAME];
    for _ in 0..10 {
        decoder.decode(Arrived::Lost, &mut out).unwrap();
    }
    let mut elsewhere = model.decoder();
    elsewhere.restore(&decoder.state()).unwrap();
    let mut again = [0.0; FRAME];
    for _ in 0..3 {
        decoder.decode(Arrived::Lost, &mut out).unwrap();
        elsewhere.decode(Arrived::Lost, &mut again).unwrap();
        assert_eq!(out, again);
    }
}

#[test]
fn a_reset_stream_is_a_new_one() {
    let model = random::model(32, 32, 5);
    let voice = voice(12, 6);
    let (mut encoder, mut decoder) = (model.encoder(), model.decoder());
    let codes = encode(&mut encoder, &voice);
    let pcm = decode(&mut decoder, &codes, 6);
    encoder.reset();
    decoder.reset();
    assert_eq!(encode(&mut encoder, &voice), codes);
    assert_eq!(decode(&mut decoder, &codes, 6), pcm);
}

#[test]
fn streams_of_one_model_do_not_disturb_each_other() {
    let model = random::model(32, 64, 7);
    let (one, two) = (voice(20, 8), voice(20, 9));
    let alone = encode(&mut model.encoder(), &one);
    let (mut first, mut second) = (model.encoder(), model.encoder());
    for (n, (a, b)) in one.iter().zip(&two).enumerate() {
        assert_eq!(first.encode(a).unwrap(), alone[n]);
        second.encode(b).unwrap();
    }
}

#[test]
fn later_stages_are_not_looked_at() {
    let model = random::model(32, 64, 10);
    let codes = encode(&mut model.encoder(), &voice(10, 11));
    for rate in Rate::ALL {
        let stages = usize::from(rate.stages());
        let spoilt: Vec<_> = codes
            .iter()
            .map(|codes| Codes(std::array::from_fn(|s| if s < stages { codes.0[s] } else { u16::MAX })))
            .collect();
        let whole = decode(&mut model.decoder(), &codes, rate.stages());
        assert_eq!(decode(&mut model.decoder(), &spoilt, rate.stages()), whole);
    }
}

#[test]
fn no_stage_is_a_lost_frame() {
    let model = random::model(32, 32, 12);
    let (mut one, mut two) = (model.decoder(), model.decoder());
    let codes = Codes([3; STAGES]);
    let (mut a, mut b) = ([0.0; FRAME], [0.0; FRAME]);
    one.decode(Arrived::Lost, &mut a).unwrap();
    two.decode(Arrived::Coded { codes: &codes, stages: 0 }, &mut b).unwrap();
    assert_eq!(a, b);
    assert_eq!(one.state(), two.state());
}

#[test]
fn a_gap_is_concealed_with_bounded_energy_and_left_behind() {
    let model = random::model(64, 64, 13);
    let codes = encode(&mut model.encoder(), &voice(120, 14));
    let whole = decode(&mut model.decoder(), &codes, 12);
    let mut decoder = model.decoder();
    let mut pcm = decode(&mut decoder, &codes[..40], 12);
    let mut out = [0.0; FRAME];
    for lost in 0..30 {
        decoder.decode(Arrived::Lost, &mut out).unwrap();
        assert!(out.iter().all(|sample| sample.abs() <= 1.0));
        if lost >= 16 {
            assert_eq!(energy(&out), 0.0, "silent after 300 ms");
        }
        pcm.extend(out);
    }
    pcm.extend(decode(&mut decoder, &codes[70..], 12));
    // The longest memory is 28 frames of convolutions on each side of the unfolding; after it, nothing of the gap is
    // left but rounding.
    let end = 110 * FRAME;
    let difference: Vec<f32> = whole[end..].iter().zip(&pcm[end..]).map(|(a, b)| a - b).collect();
    assert!(energy(&whole[end..]) > 1e-8);
    assert!(energy(&difference) < 1e-6 * energy(&whole[end..]), "{}", energy(&difference));
}

#[test]
fn loud_and_impossible_samples() {
    let model = random::model(32, 32, 15);
    let (mut encoder, mut loud) = (model.encoder(), model.encoder());
    for frame in voice(6, 16) {
        let louder = frame.map(|sample| 1e30 * sample);
        let clipped = louder.map(|sample| sample.clamp(-1.0, 1.0));
        assert_eq!(loud.encode(&louder).unwrap(), encoder.encode(&clipped).unwrap());
    }
    let state = encoder.state();
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut frame = [0.0; FRAME];
        frame[319] = wrong;
        assert!(encoder.encode(&frame).is_err());
        assert_eq!(encoder.state(), state, "a refused frame leaves no trace");
    }
}

#[test]
fn a_refused_frame_leaves_the_decoder_as_it_was() {
    let model = random::model(32, 32, 17);
    let mut decoder = model.decoder();
    decode(&mut decoder, &encode(&mut model.encoder(), &voice(5, 18)), 12);
    let state = decoder.state();
    let mut out = [0.25; FRAME];
    let codes = Codes([1024; STAGES]);
    assert!(decoder.decode(Arrived::Coded { codes: &codes, stages: 1 }, &mut out).is_err());
    let codes = Codes([0; STAGES]);
    assert!(decoder.decode(Arrived::Coded { codes: &codes, stages: 13 }, &mut out).is_err());
    assert_eq!((decoder.state(), out), (state, [0.25; FRAME]));
}

#[test]
fn any_codes_decode_to_samples_within_full_scale() {
    let model = random::model(32, 64, 19);
    let mut decoder = model.decoder();
    let mut random = Random(20);
    let mut out = [0.0; FRAME];
    for _ in 0..200 {
        let codes = Codes(std::array::from_fn(|_| (random.bits() % 1024) as u16));
        let stages = (random.bits() % 13) as u8;
        decoder.decode(Arrived::Coded { codes: &codes, stages }, &mut out).unwrap();
        assert!(out.iter().all(|sample| sample.abs() <= 1.0));
    }
}

#[test]
fn the_rates_are_the_published_ones() {
    assert_eq!(Rate::ALL.map(Rate::bps), [1500, 3000, 6000]);
    assert_eq!(Rate::ALL.map(Rate::bits_per_frame), [30, 60, 120]);
    assert!(LATENT == 64 && Rate::Low < Rate::High);
}

/// Every tenth frame begins a burst of up to three lost ones.
#[cfg(feature = "bundled")]
#[test]
fn speech_with_gaps_keeps_its_level() {
    let model = Model::bundled_on(aic_codec::Backend::Native).unwrap();
    for frames in crate::speech::clips("speech_with_gaps_keeps_its_level", 6, 6) {
        let codes = encode(&mut model.encoder(), &frames);
        let whole = decode(&mut model.decoder(), &codes, 12);
        let mut decoder = model.decoder();
        let mut out = [0.0; FRAME];
        let mut gaps = Vec::new();
        for (n, codes) in codes.iter().enumerate() {
            let lost = n % 10 <= n / 10 % 3;
            let arrived = if lost { Arrived::Lost } else { Arrived::Coded { codes, stages: 12 } };
            decoder.decode(arrived, &mut out).unwrap();
            gaps.extend(out);
        }
        let loudest = |pcm: &[f32]| pcm.as_chunks::<FRAME>().0.iter().map(|f| energy(f)).fold(0.0, f32::max);
        let ratio = energy(&gaps) / energy(&whole);
        assert!((0.4..1.5).contains(&ratio), "energy {ratio}");
        assert!(loudest(&gaps) < 2.0 * loudest(&whole), "{} {}", loudest(&gaps), loudest(&whole));
    }
}
