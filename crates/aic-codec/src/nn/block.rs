//! One causal ConvNeXt block: depthwise convolution over the past, LayerNorm, two linear layers, residual. Its memory is
//! a ring of the last `4 · dilation` rows of its input, in place in the stream's flat memory.

use multiversion::multiversion;

use super::TAPS;
use super::linear::Linear;
use crate::error::CodecError;
use crate::model::Weights;
use crate::nn::math::silu;

/// PyTorch's default.
const EPSILON: f32 = 1e-5;
/// Partial sums of a mean, in a fixed order on every machine.
const PARTS: usize = 16;

#[derive(Debug)]
pub(crate) struct Block {
    width: usize,
    dilation: usize,
    /// Tap by tap, the oldest first.
    kernel: Vec<f32>,
    bias: Vec<f32>,
    norm_weight: Vec<f32>,
    norm_bias: Vec<f32>,
    up: Linear,
    down: Linear,
}

impl Block {
    pub(crate) fn load(
        weights: &Weights<'_>,
        name: &str,
        width: usize,
        dilation: usize,
    ) -> Result<Self, CodecError> {
        Ok(Self {
            width,
            dilation,
            kernel: weights.floats(&format!("{name}.kernel"), &[TAPS, width])?,
            bias: weights.floats(&format!("{name}.bias"), &[width])?,
            norm_weight: weights.floats(&format!("{name}.norm.weight"), &[width])?,
            norm_bias: weights.floats(&format!("{name}.norm.bias"), &[width])?,
            up: Linear::load(weights, &format!("{name}.up"), width, 2 * width)?,
            down: Linear::load(weights, &format!("{name}.down"), 2 * width, width)?,
        })
    }

    /// Rows of the past.
    pub(crate) fn rows(&self) -> usize {
        (TAPS - 1) * self.dilation
    }

    /// Floats of the past.
    pub(crate) fn memory(&self) -> usize {
        self.rows() * self.width
    }

    /// Takes `ROWS` new rows, which become the output. `past` is this block's ring and `count` how many rows have gone
    /// through it; `room` holds `3 · ROWS · width` floats.
    pub(crate) fn apply<const ROWS: usize>(
        &self,
        x: &mut [f32],
        past: &mut [f32],
        count: usize,
        room: &mut [f32],
    ) {
        let width = self.width;
        let (h, u) = room[..3 * ROWS * width].split_at_mut(ROWS * width);
        for (row, (x, h)) in x.chunks_exact(width).zip(h.chunks_exact_mut(width)).enumerate() {
            // The slot of tap 0, which is the oldest row and gives way to this one.
            let slot = |tap: usize| (count + row + tap * self.dilation) % self.rows() * width;
            convolve(
                &self.kernel,
                &self.bias,
                std::array::from_fn(|tap| if tap + 1 < TAPS { &past[slot(tap)..][..width] } else { x }),
                h,
            );
            past[slot(0)..][..width].copy_from_slice(x);
            normalise(h, &self.norm_weight, &self.norm_bias);
        }
        self.up.apply::<ROWS>(h, u);
        silu(u);
        self.down.apply::<ROWS>(u, h);
        for (x, h) in x.iter_mut().zip(h) {
            *x += *h;
        }
    }
}

#[multiversion(targets("x86_64+avx+avx2+avx512f+avx512vl", "x86_64+avx+avx2"))]
fn convolve(kernel: &[f32], bias: &[f32], rows: [&[f32]; TAPS], out: &mut [f32]) {
    out.copy_from_slice(bias);
    for (kernel, row) in kernel.chunks_exact(out.len()).zip(rows) {
        for ((out, weight), value) in out.iter_mut().zip(kernel).zip(row) {
            *out += weight * value;
        }
    }
}

#[multiversion(targets("x86_64+avx+avx2+avx512f+avx512vl", "x86_64+avx+avx2"))]
fn normalise(x: &mut [f32], weight: &[f32], bias: &[f32]) {
    let n = x.len() as f32;
    let mean = sum(x, |value| value) / n;
    let variance = sum(x, |value| (value - mean) * (value - mean)) / n;
    let scale = 1.0 / (variance + EPSILON).sqrt();
    for ((x, weight), bias) in x.iter_mut().zip(weight).zip(bias) {
        *x = (*x - mean) * scale * weight + bias;
    }
}

#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut parts = [0.0_f32; PARTS];
    // Widths are multiples of 32.
    for chunk in values.as_chunks::<PARTS>().0 {
        for (part, value) in parts.iter_mut().zip(chunk) {
            *part += of(*value);
        }
    }
    let mut half = PARTS / 2;
    while half > 0 {
        for at in 0..half {
            parts[at] += parts[at + half];
        }
        half /= 2;
    }
    parts[0]
}
