//! Matrix times vector, one or two vectors at once. Weights stay 8 bits with one scale per output: a frame reads every
//! weight once, so the time is the memory's, and a quarter of the bytes is a third of the time.

use multiversion::multiversion;

use super::LANES;
use crate::error::CodecError;
use crate::model::Weights;

/// A weight as it is stored.
trait Weight: Copy {
    fn value(self) -> f32;
}

impl Weight for i8 {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from(self)
    }
}

impl Weight for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

/// `y = x W · scale + bias`.
#[derive(Debug)]
pub(crate) struct Linear {
    inputs: usize,
    weights: Vec<[i8; LANES]>,
    scale: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    pub(crate) fn load(
        weights: &Weights<'_>,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, CodecError> {
        let values = weights.bytes(&format!("{name}.weight.q"), &[inputs, outputs])?;
        Ok(Self {
            inputs,
            weights: blocks(&values, inputs, outputs),
            scale: weights.floats(&format!("{name}.weight.scale"), &[outputs])?,
            bias: weights.floats(&format!("{name}.bias"), &[outputs])?,
        })
    }

    /// `ROWS` vectors one after the other, in and out.
    pub(crate) fn apply<const ROWS: usize>(&self, x: &[f32], y: &mut [f32]) {
        product::<i8, ROWS>(&self.weights, self.inputs, x, y);
        for row in y.chunks_exact_mut(self.scale.len()) {
            for ((y, scale), bias) in row.iter_mut().zip(&self.scale).zip(&self.bias) {
                *y = *y * scale + bias;
            }
        }
    }
}

/// `y = x W` in full precision.
#[derive(Debug)]
pub(crate) struct Matrix {
    inputs: usize,
    weights: Vec<[f32; LANES]>,
}

impl Matrix {
    /// From rows of `outputs` values.
    pub(crate) fn new(values: &[f32], inputs: usize, outputs: usize) -> Self {
        Self { inputs, weights: blocks(values, inputs, outputs) }
    }

    pub(crate) fn transposed(values: &[f32], inputs: usize, outputs: usize) -> Self {
        let turned: Vec<f32> =
            (0..inputs).flat_map(|i| (0..outputs).map(move |o| values[o * inputs + i])).collect();
        Self::new(&turned, inputs, outputs)
    }

    pub(crate) fn apply<const ROWS: usize>(&self, x: &[f32], y: &mut [f32]) {
        product::<f32, ROWS>(&self.weights, self.inputs, x, y);
    }
}

/// Columns in blocks of `LANES`, each block contiguous.
fn blocks<W: Copy>(values: &[W], inputs: usize, outputs: usize) -> Vec<[W; LANES]> {
    assert!(outputs.is_multiple_of(LANES) && values.len() == inputs * outputs, "shapes are checked before");
    let (rows, _) = values.as_chunks::<LANES>();
    let columns = outputs / LANES;
    (0..columns).flat_map(|block| (0..inputs).map(move |input| rows[input * columns + block])).collect()
}

#[multiversion(targets("x86_64+avx+avx2+avx512f+avx512vl", "x86_64+avx+avx2"))]
fn product<W: Weight, const ROWS: usize>(weights: &[[W; LANES]], inputs: usize, x: &[f32], y: &mut [f32]) {
    let x: [&[f32]; ROWS] = std::array::from_fn(|row| &x[row * inputs..][..inputs]);
    let outputs = y.len() / ROWS;
    for (index, block) in weights.chunks_exact(inputs).enumerate() {
        let mut sums = [[0.0_f32; LANES]; ROWS];
        for (input, row) in block.iter().enumerate() {
            for (sum, x) in sums.iter_mut().zip(&x) {
                let value = x[input];
                for lane in 0..LANES {
                    sum[lane] += value * row[lane].value();
                }
            }
        }
        for (row, sum) in sums.iter().enumerate() {
            y[row * outputs + index * LANES..][..LANES].copy_from_slice(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_the_sum_over_inputs() {
        let (inputs, outputs) = (7, 64);
        let values: Vec<f32> = (0..inputs * outputs).map(|n| (n as f32).sin()).collect();
        let x: Vec<f32> = (0..2 * inputs).map(|n| (n as f32 + 0.5).cos()).collect();
        let mut y = vec![0.0; 2 * outputs];
        Matrix::new(&values, inputs, outputs).apply::<2>(&x, &mut y);
        let turned: Vec<f32> = (0..outputs)
            .flat_map(|o| (0..inputs).map(|i| values[i * outputs + o]).collect::<Vec<_>>())
            .collect();
        let mut again = vec![0.0; 2 * outputs];
        Matrix::transposed(&turned, inputs, outputs).apply::<2>(&x, &mut again);
        assert_eq!(y, again);
        for row in 0..2 {
            for o in 0..outputs {
                let exact: f32 = (0..inputs).map(|i| x[row * inputs + i] * values[i * outputs + o]).sum();
                assert!((y[row * outputs + o] - exact).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn eight_bits_are_scaled_per_output() {
        let weights: Vec<i8> = (0..3 * 32).map(|n| i8::try_from(n - 48).unwrap()).collect();
        let linear = Linear {
            inputs: 3,
            weights: blocks(&weights, 3, 32),
            scale: (0..32).map(|o| o as f32).collect(),
            bias: vec![0.25; 32],
        };
        let mut y = [0.0; 32];
        linear.apply::<1>(&[1.0, -2.0, 0.5], &mut y);
        for (o, y) in y.iter().enumerate() {
            let w = |i: usize| f32::from(weights[i * 32 + o]);
            assert_eq!(*y, (w(0) - 2.0 * w(1) + 0.5 * w(2)) * o as f32 + 0.25);
        }
    }
}
