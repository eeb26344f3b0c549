//! STOI against pystoi's numbers, the score against Opus's published ones.

use super::*;
use crate::testing::{Noise, speech_clip};

/// Harmonics of a wandering 150 Hz, four syllables a second.
fn signal(rate: u32, count: usize) -> Vec<f32> {
    use std::f64::consts::TAU;
    (0..count)
        .map(|n| {
            let t = n as f64 / f64::from(rate);
            let wander = (TAU * 3.0 * t).sin();
            let sum: f64 =
                (1..20).map(f64::from).map(|k| (TAU * 150.0 * k * t + 0.3 * k * wander).sin() / k).sum();
            (0.1 * sum * (0.55 + 0.45 * (TAU * 4.0 * t).sin())) as f32
        })
        .collect()
}

fn with_noise(samples: &[f32], seed: u64, gain: f32) -> Vec<f32> {
    let mut noise = Noise::new(seed);
    samples.iter().map(|sample| sample + gain * noise.next()).collect()
}

/// From `pystoi.stoi` 0.4.1 on the same signals.
#[test]
fn stoi_is_pystois() {
    let expected = [
        (10_000, [0.999_999_999, 0.907_769_363, 0.542_050_300, 0.145_692_536], 0.570_250_645, 0.835_287_785),
        (16_000, [0.999_999_999, 0.911_769_573, 0.587_304_917, 0.135_960_024], 0.598_719_797, 0.856_818_096),
    ];
    for (rate, noisy, pause, coarse) in expected {
        let x = signal(rate, 2 * rate as usize);
        for (gain, expected) in [0.0, 0.02, 0.1, 0.5].into_iter().zip(noisy) {
            let got = stoi(&x, &with_noise(&x, 9, gain), rate).unwrap();
            assert!((got - expected as f32).abs() < 5e-4, "{rate} Hz, noise {gain}: {got} for {expected}");
        }
        let mut z = x.clone();
        z[rate as usize / 2..rate as usize].fill(0.0);
        let got = stoi(&z, &with_noise(&z, 9, 0.1), rate).unwrap();
        assert!((got - pause as f32).abs() < 5e-4, "{rate} Hz, pause: {got} for {pause}");
        let stepped: Vec<f32> = x.iter().map(|s| (s * 16.0).round_ties_even() / 16.0).collect();
        let got = stoi(&x, &stepped, rate).unwrap();
        assert!((got - coarse as f32).abs() < 2e-3, "{rate} Hz, coarse: {got} for {coarse}");
    }
    assert_eq!(stoi(&[0.1; 100], &[0.1; 100], 16_000), None);
    assert_eq!(stoi(&[0.1; 9_000], &[0.1; 9_000], 44_100), None);
}

/// The same for recordings, where they are present.
#[test]
fn stoi_of_speech_is_pystois() {
    for (name, expected) in [
        ("2414-128291-0000.flac", 0.628_590_857),
        ("3331-159605-0005.flac", 0.865_604_757),
        ("533-1066-0009.flac", 0.618_657_894),
    ] {
        let Some(samples) = speech_clip(&format!("librispeech-test-other/{name}")) else { continue };
        let got = stoi(&samples, &with_noise(&samples, 4, 0.05), 16_000).unwrap();
        assert!((got - expected as f32).abs() < 5e-4, "{name}: {got} for {expected}");
    }
}

#[test]
fn the_score_falls_with_noise_and_band_limits() {
    let clean = signal(16_000, 48_000);
    let totals: Vec<f32> = [0.0, 0.001, 0.01, 0.1]
        .map(|gain| score(&clean, &with_noise(&clean, 3, gain)).unwrap().total())
        .to_vec();
    assert!(totals[0] > 0.999, "{totals:?}");
    assert!(totals.windows(2).all(|pair| pair[1] < pair[0]), "{totals:?}");
    assert_eq!(score(&[0.0; 48_000], &[0.0; 48_000]), None);
    assert_eq!(score(&clean[..3_000], &clean[..3_000]), None);
}

#[test]
fn the_sliding_score_agrees_with_the_clips() {
    let clean = signal(16_000, 48_000);
    let noisy = with_noise(&clean, 3, 0.01);
    let late: Vec<f32> = [vec![0.0; DECODER_DELAY], noisy.clone()].concat();
    let mut scorer = Scorer::new(DECODER_DELAY);
    for (reference, decoded) in clean.as_chunks::<FRAME>().0.iter().zip(late.as_chunks::<FRAME>().0) {
        scorer.push(reference, decoded);
    }
    let (online, whole) = (scorer.score().unwrap(), score(&clean, &noisy).unwrap());
    assert!((online.total() - whole.total()).abs() < 0.02, "{online:?} {whole:?}");
    scorer.clear();
    assert_eq!(scorer.score(), None);
    for _ in 0..80 {
        scorer.push(&[0.0; FRAME], &[0.0; FRAME]);
    }
    assert_eq!(scorer.score(), None, "silence has no score");
}

/// Against the means of the reference's table (26 clips, Opus 1.3.1 at 16 kHz): the published score of this formula.
#[cfg(all(feature = "opus", feature = "resample"))]
#[test]
fn opus_scores_as_published() {
    use crate::control::ladder::Opus;
    use crate::opus::{DELAY, Decoder, Encoder, MAX_SAMPLES};
    use crate::resample::{Down, FRAME_48K, Up};
    use crate::testing::speech_clips;

    let clips = speech_clips(12);
    if clips.is_empty() {
        return;
    }
    let mut means = Vec::new();
    for bitrate_bps in [12_000, 16_000, 24_000] {
        let (mut sum, mut windows) = (0.0, Vec::new());
        for (_, clip) in &clips {
            let setting = Opus { bitrate_bps, ptime_ms: 20, fec: false, red: 0, expected_loss: 0 };
            let (mut encoder, mut decoder) = (Encoder::new(setting).unwrap(), Decoder::new().unwrap());
            let (mut up, mut down, mut plain) = (Up::default(), Down::default(), Down::default());
            let mut out = Box::new([0.0; MAX_SAMPLES]);
            let (mut spoken, mut heard) = (Vec::new(), Vec::new());
            for frame in clip.as_chunks::<FRAME>().0 {
                // The band that the resamplers leave is not the codec's fault.
                let frame = up.process(frame);
                spoken.extend(plain.process(&frame));
                let packet = encoder.encode(&frame).unwrap();
                decoder.decode(&packet, &mut out).unwrap();
                heard.extend(down.process(out.first_chunk::<FRAME_48K>().unwrap()));
            }
            let heard = &heard[DELAY / 3..];
            sum += score(&spoken, heard).unwrap().total();
            let mut scorer = Scorer::new(0);
            for (n, (spoken, heard)) in spoken.as_chunks().0.iter().zip(heard.as_chunks().0).enumerate() {
                scorer.push(spoken, heard);
                if n % 10 == 9 {
                    windows.extend(scorer.score().map(|score| score.total()));
                }
            }
        }
        let mean = windows.iter().sum::<f32>() / windows.len() as f32;
        let passed = windows.iter().filter(|&&total| total >= 0.85).count() as f32 / windows.len() as f32;
        let whole = sum / clips.len() as f32;
        println!(
            "{bitrate_bps} bit/s: clips {whole:.3}; windows of 1.5 s {mean:.3}, {passed:.3} at or above 0.85"
        );
        assert!((mean - whole).abs() < 0.02, "the windows' mean is {mean}, the clips' {whole}");
        means.push(whole);
    }
    println!("quality_score of Opus at 12, 16, 24 kbit/s: {means:?}");
    for (mean, published) in means.iter().zip([0.95, 0.96, 0.98]) {
        assert!((mean - published).abs() < 0.03, "{means:?}");
    }
}
