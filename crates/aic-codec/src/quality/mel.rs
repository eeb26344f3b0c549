//! Log-mel spectra and their comparison: 40 bands, windows of 32 ms every 10 ms.

use crate::spectrum::{Spectrum, hann};

/// Samples per window, and per step.
pub(super) const WINDOW: usize = 512;
pub(super) const HOP: usize = 160;
const BANDS: usize = 40;
/// Power of the bands in one window.
pub(super) type Row = [f32; BANDS];

/// Below the mean by this much nothing is told apart: 40 dB.
const FLOOR: f32 = 1e-4;
/// A window this far below the mean is a pause: 30 dB.
const PAUSE: f32 = 1e-3;
/// Windows whose envelopes are correlated: 400 ms.
const BLOCK: usize = 40;
/// Fewer spoken windows than this say nothing: 0.4 s.
const ENOUGH: usize = 40;
/// An envelope that moves less than this (dB², variance) has nothing to correlate.
const FLAT: f32 = 1.0;

/// Samples to mel bands.
#[derive(Debug)]
pub(super) struct Analyser {
    spectrum: Spectrum,
    /// Per band its first bin and the weights from there.
    bands: Vec<(usize, Vec<f32>)>,
}

impl Default for Analyser {
    fn default() -> Self {
        let mel = |hz: f32| 2_595.0 * (1.0 + hz / 700.0).log10();
        let top = mel(8_000.0);
        let edges: Vec<f32> = (0..BANDS + 2)
            .map(|k| 700.0 * (10.0_f32.powf(top * k as f32 / (BANDS + 1) as f32 / 2_595.0) - 1.0))
            .collect();
        let bands = edges
            .windows(3)
            .map(|edge| {
                let weight = |bin: usize| {
                    let hz = bin as f32 * 31.25;
                    ((hz - edge[0]) / (edge[1] - edge[0])).min((edge[2] - hz) / (edge[2] - edge[1])).max(0.0)
                };
                let first = (edge[0] / 31.25) as usize;
                let last = ((edge[2] / 31.25).ceil() as usize).min(WINDOW / 2);
                (first, (first..=last).map(weight).collect())
            })
            .collect();
        Self { spectrum: Spectrum::new(hann(WINDOW), WINDOW), bands }
    }
}

impl Analyser {
    pub(super) fn row(&mut self, samples: &[f32]) -> Row {
        let power = self.spectrum.power(samples);
        let mut row = [0.0; BANDS];
        for (band, (first, weights)) in row.iter_mut().zip(&self.bands) {
            *band = weights.iter().zip(&power[*first..]).map(|(weight, power)| weight * power).sum();
        }
        row
    }
}

pub(super) fn loudness(row: &Row) -> f32 {
    row.iter().sum()
}

/// Mean absolute difference in dB, and mean correlation of the bands' envelopes, where `reference` has speech. `mean`
/// is the loudness of the clip that the rows belong to.
pub(super) fn compare(reference: &[Row], decoded: &[Row], mean: f32) -> Option<(f32, f32)> {
    let spoken: Vec<bool> = reference.iter().map(|row| loudness(row) > mean * PAUSE).collect();
    let count = spoken.iter().filter(|&&spoken| spoken).count();
    // -70 dB of full scale, as the windowed transform sees it.
    if count < ENOUGH || mean < 1e-7 * (WINDOW * WINDOW) as f32 / 16.0 {
        return None;
    }
    let floor = mean / BANDS as f32 * FLOOR;
    let log = |rows: &[Row]| -> Vec<Row> {
        rows.iter().map(|row| row.map(|power| 10.0 * power.max(floor).log10())).collect()
    };
    let (x, y) = (log(reference), log(decoded));
    let mut distance = 0.0;
    for ((x, y), _) in x.iter().zip(&y).zip(&spoken).filter(|&(_, &spoken)| spoken) {
        distance += x.iter().zip(y).map(|(x, y)| (x - y).abs()).sum::<f32>() / BANDS as f32;
    }
    Some((distance / count as f32, envelopes(&x, &y, &spoken)?))
}

fn envelopes(x: &[Row], y: &[Row], spoken: &[bool]) -> Option<f32> {
    let (mut sum, mut count) = (0.0, 0_u32);
    for start in (0..(x.len() + 1).saturating_sub(BLOCK)).step_by(BLOCK / 2) {
        let block = start..start + BLOCK;
        if spoken[block.clone()].iter().filter(|&&spoken| spoken).count() < BLOCK / 2 {
            continue;
        }
        for band in 0..BANDS {
            if let Some(correlation) = correlation(&x[block.clone()], &y[block.clone()], band) {
                sum += correlation;
                count += 1;
            }
        }
    }
    (count > 0).then(|| sum / count as f32)
}

fn correlation(x: &[Row], y: &[Row], band: usize) -> Option<f32> {
    let n = x.len() as f32;
    let mean = |rows: &[Row]| rows.iter().map(|row| row[band]).sum::<f32>() / n;
    let (mx, my) = (mean(x), mean(y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (a, b) = (x[band] - mx, y[band] - my);
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    if xx / n < FLAT {
        return None;
    }
    Some(xy / (xx * yy).sqrt().max(1e-6))
}
