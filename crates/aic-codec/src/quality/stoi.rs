//! STOI after Taal, Hendriks, Heusdens and Jensen (2011), the classic one: numbers as pystoi 0.4.1's.

use crate::spectrum::{Spectrum, hanning};

use super::ten_kilo;

/// Samples per window at 10 kHz, and per step.
const WINDOW: usize = 256;
const HOP: usize = WINDOW / 2;
const FFT: usize = 512;
/// Third-octave bands from 150 Hz.
const BANDS: usize = 15;
/// Windows per segment: 384 ms.
const SEGMENT: usize = 30;
/// Windows this far below the loudest are silence.
const RANGE_DB: f64 = 40.0;
/// Lower bound of the signal-to-distortion ratio.
const BETA_DB: f64 = -15.0;
const EPS: f64 = f64::EPSILON;

/// The short-time objective intelligibility of `decoded`, given what was said, at 10 or 16 kHz.
///
/// `None` at other rates, for signals of different lengths, and if less than 0.4 s of them is speech.
pub fn stoi(reference: &[f32], decoded: &[f32], rate: u32) -> Option<f32> {
    if reference.len() != decoded.len() {
        return None;
    }
    match rate {
        10_000 => Stoi::default().measure(reference, decoded),
        16_000 => Stoi::default().measure(&ten_kilo::resample(reference), &ten_kilo::resample(decoded)),
        _ => None,
    }
}

/// The measure with its memory.
#[derive(Debug)]
pub(super) struct Stoi {
    spectrum: Spectrum,
    window: Vec<f32>,
    /// First and last bin of each band.
    bands: [(usize, usize); BANDS],
}

impl Default for Stoi {
    fn default() -> Self {
        let nearest = |hz: f64| (hz * FFT as f64 / 10_000.0).round() as usize;
        let edge = |k: f64| nearest(150.0 * 2.0_f64.powf(k / 6.0));
        Self {
            spectrum: Spectrum::new(hanning(WINDOW), FFT),
            window: hanning(WINDOW),
            bands: std::array::from_fn(|band| (edge(2.0 * band as f64 - 1.0), edge(2.0 * band as f64 + 1.0))),
        }
    }
}

impl Stoi {
    /// Of signals at 10 kHz.
    pub(super) fn measure(&mut self, reference: &[f32], decoded: &[f32]) -> Option<f32> {
        let length = reference.len().min(decoded.len());
        let spoken = self.spoken(&reference[..length]);
        let x = self.envelopes(&self.joined(reference, &spoken));
        let y = self.envelopes(&self.joined(decoded, &spoken));
        if x.len() < SEGMENT {
            return None;
        }
        let mut sum = 0.0;
        for (x, y) in x.windows(SEGMENT).zip(y.windows(SEGMENT)) {
            for band in 0..BANDS {
                sum += correlation(x, y, band);
            }
        }
        Some((sum / ((x.len() + 1 - SEGMENT) * BANDS) as f64) as f32)
    }

    /// Where the windows with speech begin.
    fn spoken(&self, samples: &[f32]) -> Vec<usize> {
        let starts = (0..samples.len().saturating_sub(WINDOW)).step_by(HOP);
        let energies: Vec<f64> = starts
            .clone()
            .map(|at| {
                let windowed = samples[at..].iter().zip(&self.window).map(|(s, w)| f64::from(s * w).powi(2));
                20.0 * (windowed.sum::<f64>().sqrt() + EPS).log10()
            })
            .collect();
        let loudest = energies.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        starts.zip(energies).filter(|&(_, energy)| loudest - RANGE_DB < energy).map(|(at, _)| at).collect()
    }

    /// The windows that begin at `starts`, one after the other, overlapping.
    fn joined(&self, samples: &[f32], starts: &[usize]) -> Vec<f32> {
        let mut joined = vec![0.0; if starts.is_empty() { 0 } else { (starts.len() - 1) * HOP + WINDOW }];
        for (n, &start) in starts.iter().enumerate() {
            let windowed = samples[start..].iter().zip(&self.window).map(|(s, w)| s * w);
            for (out, sample) in joined[n * HOP..].iter_mut().zip(windowed) {
                *out += sample;
            }
        }
        joined
    }

    fn envelopes(&mut self, samples: &[f32]) -> Vec<[f64; BANDS]> {
        let bands = self.bands;
        (0..samples.len().saturating_sub(WINDOW))
            .step_by(HOP)
            .map(|at| {
                let power = self.spectrum.power(&samples[at..at + WINDOW]);
                bands.map(|(low, high)| power[low..high].iter().map(|&p| f64::from(p)).sum::<f64>().sqrt())
            })
            .collect()
    }
}

/// Of one band's envelope over a segment, the decoded one scaled and clipped to the reference.
fn correlation(x: &[[f64; BANDS]], y: &[[f64; BANDS]], band: usize) -> f64 {
    let x: [f64; SEGMENT] = std::array::from_fn(|n| x[n][band]);
    let y: [f64; SEGMENT] = std::array::from_fn(|n| y[n][band]);
    let norm = |v: &[f64; SEGMENT]| v.iter().map(|a| a * a).sum::<f64>().sqrt();
    let scale = norm(&x) / (norm(&y) + EPS);
    let limit = 1.0 + 10.0_f64.powf(-BETA_DB / 20.0);
    let clipped: [f64; SEGMENT] = std::array::from_fn(|n| (y[n] * scale).min(x[n] * limit));
    let centred = |v: [f64; SEGMENT]| {
        let mean = v.iter().sum::<f64>() / SEGMENT as f64;
        v.map(|a| a - mean)
    };
    let (x, y) = (centred(x), centred(clipped));
    let product: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
    product / ((norm(&x) + EPS) * (norm(&y) + EPS))
}
