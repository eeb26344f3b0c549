//! The material: speakers who are in nobody's training data here, and what is done to them. 16 kHz mono, ±1.

use std::f32::consts::TAU;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::speech::read_flac;

/// Samples in one second.
pub const RATE: usize = 16_000;
/// Samples in 20 ms.
pub const FRAME: usize = 320;
/// Longer clips are cut: PESQ is made for 8 to 30 s.
const LONGEST: usize = 8 * RATE;

/// One recording, whole frames long.
pub struct Clip {
    /// File name without its ending, unique.
    pub name: String,
    /// Samples at 16 kHz.
    pub samples: Vec<f32>,
}

/// The held-out clips of a stratum, `count` at most, in a fixed shuffle.
///
/// `clean`: LibriSpeech readers; `noise`: the same at 15 dB; `dutch`: the held-out Dutch voice; `music`: synthesised.
///
/// # Errors
/// When the speech data are missing.
pub fn stratum(speech: &Path, name: &str, count: usize) -> anyhow::Result<Vec<Clip>> {
    if name == "music" {
        return Ok((0..count.min(4)).map(music).collect());
    }
    let list: Value = serde_json::from_str(include_str!("held-out.json"))?;
    let key = if name == "dutch" { "dutch" } else { "english" };
    let files = list[key].as_array().context("held-out.json has the lists")?;
    let mut clips = Vec::new();
    for file in files.iter().filter_map(Value::as_str).take(count) {
        let path = speech.join(file);
        let mut samples = read(&path)?;
        if name == "noise" {
            add_noise(&mut samples, clips.len() as u64);
        }
        let stem = path.file_stem().context("a file name")?.to_string_lossy().into_owned();
        clips.push(Clip { name: stem, samples });
    }
    Ok(clips)
}

fn read(path: &Path) -> anyhow::Result<Vec<f32>> {
    let mut samples = read_flac(path, LONGEST)?;
    samples.resize(samples.len().next_multiple_of(FRAME), 0.0);
    Ok(samples)
}

/// A small generator with a known sequence (SplitMix64), from this seed.
pub struct Random(pub u64);

impl Random {
    /// Even between 0 and 1.
    pub fn share(&mut self) -> f64 {
        f64::midpoint(1.0, self.next().into())
    }

    /// Even between −1 and 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}

/// Noise as of a ventilator, low frequencies stronger, 15 dB under the clip.
fn add_noise(samples: &mut [f32], seed: u64) {
    let mut random = Random(seed);
    let mut low = 0.0;
    let noise: Vec<f32> = samples
        .iter()
        .map(|_| {
            low = 0.9 * low + 0.1 * random.next();
            low + 0.02 * random.next()
        })
        .collect();
    let power = |x: &[f32]| x.iter().map(|s| s * s).sum::<f32>() / x.len() as f32;
    let gain = (power(samples) / power(&noise)).sqrt() * 10.0_f32.powf(-15.0 / 20.0);
    for (sample, noise) in samples.iter_mut().zip(noise) {
        *sample = (*sample + gain * noise).clamp(-1.0, 1.0);
    }
}

/// Eight seconds of plucked chords with a beat: nobody would take it for speech.
fn music(number: usize) -> Clip {
    let mut random = Random(number as u64 + 77);
    let roots = [220.0, 174.6, 261.6, 196.0];
    let samples = (0..LONGEST)
        .map(|n| {
            let t = n as f32 / RATE as f32;
            let beat = t % 0.5;
            let root = roots[(number + (t / 2.0) as usize) % 4] * 2.0_f32.powf(number as f32 / 12.0);
            let chord: f32 = [1.0, 1.26, 1.5, 2.0]
                .iter()
                .flat_map(|ratio| (1..5).map(move |k| (ratio, k as f32)))
                .map(|(ratio, k)| (TAU * root * ratio * k * t).sin() / k)
                .sum();
            0.06 * chord * (-4.0 * beat).exp() + 0.05 * random.next() * (-40.0 * beat).exp()
        })
        .collect();
    Clip { name: format!("music-{number}"), samples }
}
