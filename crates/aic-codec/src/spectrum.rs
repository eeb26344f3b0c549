//! Power spectra of short blocks, for those that listen rather than code.

use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

/// A window and a transform of fixed sizes, with their memory.
pub(crate) struct Spectrum {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    block: Vec<f32>,
    bins: Vec<Complex32>,
    scratch: Vec<Complex32>,
    power: Vec<f32>,
}

impl Spectrum {
    /// Blocks as long as `window`, zero-padded to `size`.
    pub(crate) fn new(window: Vec<f32>, size: usize) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(size);
        let (block, bins, scratch) = (fft.make_input_vec(), fft.make_output_vec(), fft.make_scratch_vec());
        let power = vec![0.0; bins.len()];
        Self { fft, window, block, bins, scratch, power }
    }

    /// Squared magnitudes of `samples`, windowed: `size` / 2 + 1 of them.
    pub(crate) fn power(&mut self, samples: &[f32]) -> &[f32] {
        let used = self.window.len();
        for ((block, sample), weight) in self.block.iter_mut().zip(samples).zip(&self.window) {
            *block = sample * weight;
        }
        self.block[used..].fill(0.0);
        self.fft
            .process_with_scratch(&mut self.block, &mut self.bins, &mut self.scratch)
            .expect("the buffers come from this transform");
        for (power, bin) in self.power.iter_mut().zip(&self.bins) {
            *power = bin.norm_sqr();
        }
        &self.power
    }
}

impl std::fmt::Debug for Spectrum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spectrum").field("window", &self.window.len()).finish_non_exhaustive()
    }
}

/// `n` samples of a Hann window without its zeros, as MATLAB's `hanning`.
pub(crate) fn hanning(n: usize) -> Vec<f32> {
    (1..=n).map(|k| (0.5 - 0.5 * (std::f64::consts::TAU * k as f64 / (n + 1) as f64).cos()) as f32).collect()
}

/// `n` samples of a periodic Hann window.
pub(crate) fn hann(n: usize) -> Vec<f32> {
    (0..n).map(|k| (0.5 - 0.5 * (std::f64::consts::TAU * k as f64 / n as f64).cos()) as f32).collect()
}
