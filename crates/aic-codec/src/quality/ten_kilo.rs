//! 16 kHz to 10 kHz, where STOI is defined: the filter of Octave's `resample`, which pystoi uses too.

use std::f64::consts::PI;
use std::sync::OnceLock;

use crate::codec::FRAME;

const UP: usize = 5;
const DOWN: usize = 8;
/// Half the filter's length, at 80 kHz: 60 dB of rejection, a tenth of the cutoff for the slope.
const HALF: usize = 290;
/// Half its length at 16 kHz.
const REACH: usize = HALF / UP;
/// Samples that leave per frame.
pub(super) const OUT: usize = FRAME * UP / DOWN;
/// Input kept from frame to frame; the output is late by half of it.
const KEPT: usize = 128;

/// A stream's resampler, 64 samples late.
#[derive(Debug)]
pub(super) struct TenKilo {
    buffer: [f32; KEPT + FRAME],
}

impl Default for TenKilo {
    fn default() -> Self {
        Self { buffer: [0.0; KEPT + FRAME] }
    }
}

impl TenKilo {
    pub(super) fn push(&mut self, frame: &[f32; FRAME]) -> [f32; OUT] {
        self.buffer.copy_within(FRAME.., 0);
        self.buffer[KEPT..].copy_from_slice(frame);
        let mut out = [0.0; OUT];
        for (n, sample) in out.iter_mut().enumerate() {
            *sample = at(&self.buffer, UP * KEPT / 2 + DOWN * n);
        }
        out
    }
}

/// A whole signal, as `pystoi.utils.resample_oct(x, 10000, 16000)`.
pub(super) fn resample(samples: &[f32]) -> Vec<f32> {
    (0..(samples.len() * UP).div_ceil(DOWN)).map(|n| at(samples, DOWN * n)).collect()
}

/// The filtered signal at `position` / 80 kHz.
fn at(samples: &[f32], position: usize) -> f32 {
    let (whole, phase) = (position / UP, position % UP);
    let taps = &phases()[phase];
    // The first sample under the filter; before the signal lie zeros.
    let first = whole + usize::from(phase > 0);
    let skip = REACH.saturating_sub(first);
    let begin = (first + skip - REACH).min(samples.len());
    taps[skip..].iter().zip(&samples[begin..]).map(|(tap, sample)| tap * sample).sum()
}

fn phases() -> &'static [Vec<f32>; UP] {
    static PHASES: OnceLock<[Vec<f32>; UP]> = OnceLock::new();
    PHASES.get_or_init(|| {
        let cutoff = 1.0 / (2.0 * DOWN as f64);
        let beta = 0.1102 * (60.0 - 8.7);
        let taps: Vec<f64> = (0..=2 * HALF)
            .map(|n| {
                let t = n as f64 - HALF as f64;
                let x = PI * 2.0 * cutoff * t;
                let sinc = if t == 0.0 { 1.0 } else { x.sin() / x };
                sinc * bessel(beta * (1.0 - (t / HALF as f64).powi(2)).max(0.0).sqrt())
            })
            .collect();
        let scale = UP as f64 / taps.iter().sum::<f64>();
        std::array::from_fn(|phase| {
            let last = if phase == 0 { 2 * HALF } else { 2 * HALF - UP + phase };
            (0..=last / UP).map(|m| (taps[last - UP * m] * scale) as f32).collect()
        })
    })
}

/// The modified Bessel function of order zero, which shapes Kaiser's window.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..50 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    #[test]
    fn streamed_is_offline_but_for_the_delay() {
        let mut noise = Noise::new(5);
        let samples: Vec<f32> = (0..FRAME * 20).map(|_| noise.next()).collect();
        let offline = resample(&samples);
        let mut stream = TenKilo::default();
        let streamed: Vec<f32> =
            samples.as_chunks::<FRAME>().0.iter().flat_map(|frame| stream.push(frame)).collect();
        // 64 samples at 16 kHz are 40 at 10.
        for (n, (a, b)) in offline.iter().zip(&streamed[40..]).enumerate() {
            assert!((a - b).abs() < 1e-5, "{n}: {a} {b}");
        }
    }
}
