//! Synthetic tones, alarms and music; real speech for false alarms.

use std::f32::consts::TAU;

use super::*;
use crate::testing::{Noise, speech_clips, voice};

/// Everything that is said of `samples`, frame by frame.
fn hear(classifier: &mut Classifier, samples: &[f32]) -> Vec<Content> {
    samples.as_chunks::<FRAME>().0.iter().map(|frame| classifier.hear(frame)).collect()
}

fn tone(hz: &[f32], seconds: f32, gain: f32) -> Vec<f32> {
    (0..(16_000.0 * seconds) as usize)
        .map(|n| hz.iter().map(|hz| gain * (TAU * hz * n as f32 / 16_000.0).sin()).sum())
        .collect()
}

/// Three voices of harmonic notes with attack and decay, half a second each, over some noise: a tune with chords.
fn music(seconds: f32, seed: u64) -> Vec<f32> {
    let mut noise = Noise::new(seed);
    let scale = [0, 2, 4, 5, 7, 9, 11, 12];
    let mut out = vec![0.0_f32; (16_000.0 * seconds) as usize];
    for voice in 0..3 {
        let length = [8_000, 4_000, 16_000][voice];
        let root = [220.0, 440.0, 110.0][voice];
        for note in out.chunks_mut(length) {
            let step = scale[((noise.next() + 1.0) * 4.0) as usize % 8];
            let hz = root * 2.0_f32.powf(step as f32 / 12.0);
            for (n, sample) in note.iter_mut().enumerate() {
                let t = n as f32 / 16_000.0;
                let envelope = (t * 100.0).min(1.0) * (-2.0 * t).exp();
                let sound: f32 = (1..8).map(|k| (TAU * hz * k as f32 * t).sin() / k as f32).sum();
                *sample += 0.08 * envelope * sound + 0.002 * noise.next();
            }
        }
    }
    out
}

/// After how many milliseconds `content` is recognised.
fn after_ms(heard: &[Content], content: Content) -> Option<usize> {
    heard.iter().position(|&c| c == content).map(|frame| 20 * (frame + 1))
}

#[test]
fn tones_of_all_kinds_are_heard() {
    let mut siren = Vec::new();
    let mut phase = 0.0_f32;
    for n in 0..32_000 {
        let t = n as f32 / 16_000.0;
        phase += (900.0 + 350.0 * (TAU * t / 2.0).sin()) / 16_000.0;
        siren.push(0.3 * (TAU * phase.fract()).sin());
    }
    let alarm: Vec<f32> =
        (0..6).flat_map(|n| tone(&[if n % 2 == 0 { 800.0 } else { 1_000.0 }], 0.4, 0.2)).collect();
    let cases = [
        ("sine", tone(&[1_000.0], 2.0, 0.3)),
        ("weak sine", tone(&[2_600.0], 2.0, 0.01)),
        ("dial tone", tone(&[350.0, 440.0], 2.0, 0.1)),
        ("ringback", tone(&[440.0, 480.0], 2.0, 0.1)),
        ("smoke alarm", tone(&[3_100.0], 0.5, 0.4)),
        ("two-tone alarm", alarm),
        ("siren", siren),
    ];
    for (name, samples) in cases {
        let heard = hear(&mut Classifier::default(), &samples);
        assert!(after_ms(&heard, Content::Tones).is_some_and(|ms| ms <= 500), "{name}");
    }
}

#[test]
fn dialling_is_heard_within_one_digit() {
    for low in [697.0, 770.0, 852.0, 941.0] {
        for high in [1_209.0, 1_336.0, 1_477.0, 1_633.0] {
            let mut samples = voice(16_000.0, 1.0, 3);
            samples.truncate(16_000);
            samples.extend(tone(&[low, high], 0.16, 0.15));
            let heard = hear(&mut Classifier::default(), &samples);
            assert_eq!(heard.last(), Some(&Content::Tones), "{low} {high}");
            assert!(heard[..50].iter().all(|&c| c == Content::Speech), "{low} {high}");
        }
    }
}

#[test]
fn music_is_heard_within_four_seconds_and_left_behind() {
    for seed in 1..5 {
        let mut classifier = Classifier::default();
        let heard = hear(&mut classifier, &music(8.0, seed));
        let after = after_ms(&heard, Content::Music);
        assert!(after.is_some_and(|ms| ms <= 4_000), "{after:?}, steady {}", classifier.steadiness());
        let heard = hear(&mut classifier, &voice(16_000.0, 10.0, seed));
        assert_eq!(heard.last(), Some(&Content::Speech), "steady {}", classifier.steadiness());
    }
}

#[test]
fn voices_and_noise_are_speech() {
    let mut noise = Noise::new(7);
    let noise: Vec<f32> = (0..80_000).map(|_| 0.1 * noise.next()).collect();
    for samples in [noise, voice(16_000.0, 20.0, 1), voice(16_000.0, 20.0, 2), vec![0.0; 16_000]] {
        let mut classifier = Classifier::default();
        let heard = hear(&mut classifier, &samples);
        assert!(heard.iter().all(|&c| c == Content::Speech), "steady {}", classifier.steadiness());
    }
}

/// "Moon": two harmonics are all there is, and their pitch glides.
#[test]
fn dark_vowels_are_speech() {
    let mut phase = 0.0_f32;
    let samples: Vec<f32> = (0..64_000)
        .map(|n| {
            phase += 172.0 * (1.0 + 0.05 * (TAU * 1.5 * n as f32 / 16_000.0).sin()) / 16_000.0;
            0.1 * (TAU * phase).sin() + 0.3 * (TAU * 2.0 * phase).sin()
        })
        .collect();
    let heard = hear(&mut Classifier::default(), &samples);
    assert!(heard.iter().all(|&c| c != Content::Tones));
}

#[test]
fn read_speech_is_speech() {
    let clips = speech_clips(60);
    let mut worst = 0.0_f32;
    let mut wrong = Vec::new();
    for (name, samples) in &clips {
        let mut classifier = Classifier::default();
        let mut heard = Vec::new();
        for frame in samples.as_chunks::<FRAME>().0 {
            heard.push(classifier.hear(frame));
            worst = worst.max(classifier.steadiness());
        }
        if heard.iter().any(|&c| c != Content::Speech) {
            wrong.push(name);
        }
    }
    println!("highest steady share of {} clips: {worst}", clips.len());
    assert!(wrong.is_empty(), "{} of {}: {wrong:?}; highest steady share {worst}", wrong.len(), clips.len());
}
