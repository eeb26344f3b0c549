//! Between the 48 kHz of Opus and RTP and the 16 kHz of the model, a frame of 20 ms at a time.
//!
//! Always 960 samples to 320 and back, each way 1.25 ms late. The only memory is the last block: [`Resampler::last`]
//! gives the input that [`Resampler::resume`] needs to go on exactly.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use crate::codec::FRAME;

/// Samples of a frame at 48 kHz.
pub const FRAME_48K: usize = 3 * FRAME;

/// 48 kHz to 16 kHz.
pub type Down = Resampler<FRAME_48K, FRAME>;
/// 16 kHz to 48 kHz.
pub type Up = Resampler<FRAME, FRAME_48K>;

/// A stream's resampler. `IN` and `OUT` are samples per 20 ms.
pub struct Resampler<const IN: usize, const OUT: usize> {
    inner: Fft<f32>,
    last: [f32; IN],
}

impl<const IN: usize, const OUT: usize> Default for Resampler<IN, OUT> {
    fn default() -> Self {
        // Eight blocks per frame: rubato's own choice would be late by 10 ms one way and uneven the other. With blocks
        // that short only the plain Hann window keeps what the model codes: flat to 6.5 kHz both ways together, where
        // rubato's usual Blackman-Harris squared takes 7 dB at 5 kHz.
        let inner = Fft::new_custom(IN * 50, OUT * 50, IN, 8, 1, WindowFunction::Hann, FixedSync::Input)
            .expect("the rates are a whole multiple of each other");
        Self { inner, last: [0.0; IN] }
    }
}

impl<const IN: usize, const OUT: usize> Resampler<IN, OUT> {
    /// How late the output is, in samples of the output.
    pub fn delay(&self) -> usize {
        self.inner.output_delay()
    }

    /// The next frame.
    pub fn process(&mut self, input: &[f32; IN]) -> [f32; OUT] {
        self.last = *input;
        let mut out = [0.0; OUT];
        let from = SequentialSlice::new(input, 1, IN).expect("one channel");
        let mut to = SequentialSlice::new_mut(&mut out, 1, OUT).expect("one channel");
        let (read, written) =
            self.inner.process_into_buffer(&from, &mut to, None).expect("the buffers have the chunk's size");
        debug_assert_eq!((read, written), (IN, OUT));
        out
    }

    /// The input that is still remembered.
    pub fn last(&self) -> &[f32; IN] {
        &self.last
    }

    /// A resampler that goes on after `last`.
    pub fn resume(last: &[f32; IN]) -> Self {
        let mut resampler = Self::default();
        resampler.process(last);
        resampler
    }
}

impl<const IN: usize, const OUT: usize> std::fmt::Debug for Resampler<IN, OUT> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler").field("in", &IN).field("out", &OUT).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    fn peak(samples: &[f32]) -> usize {
        samples.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).expect("not empty").0
    }

    #[test]
    fn an_impulse_is_late_by_what_is_said() {
        let mut input = [0.0; FRAME_48K];
        input[300] = 1.0;
        let mut down = Down::default();
        let out = [down.process(&input), down.process(&[0.0; FRAME_48K])].concat();
        assert_eq!(down.delay(), 20, "1.25 ms");
        assert_eq!(peak(&out), 100 + 20);
        let mut input = [0.0; FRAME];
        input[300] = 1.0;
        let mut up = Up::default();
        let out = [up.process(&input), up.process(&[0.0; FRAME])].concat();
        assert_eq!(up.delay(), 60, "1.25 ms");
        assert_eq!(peak(&out), 900 + 60);
    }

    #[test]
    fn a_tone_survives_both_ways_and_what_does_not_fit_is_removed() {
        let through = |hz: f32| {
            let (mut down, mut up) = (Down::default(), Up::default());
            let mut power = (0.0, 0.0);
            for frame in 0..50 {
                let input: [f32; FRAME_48K] = std::array::from_fn(|n| {
                    let t = (frame * FRAME_48K + n) as f32 / 48_000.0;
                    (std::f32::consts::TAU * hz * t).sin()
                });
                let output = up.process(&down.process(&input));
                if frame > 2 {
                    power.0 += input.iter().map(|s| s * s).sum::<f32>();
                    power.1 += output.iter().map(|s| s * s).sum::<f32>();
                }
            }
            10.0 * (power.1 / power.0).log10()
        };
        for hz in [100.0, 1_000.0, 4_000.0, 6_500.0] {
            assert!(through(hz).abs() < 0.2, "{hz} Hz: {} dB", through(hz));
        }
        for hz in [8_500.0, 12_000.0, 20_000.0] {
            assert!(through(hz) < -50.0, "{hz} Hz: {} dB", through(hz));
        }
    }

    #[test]
    fn goes_on_exactly_after_a_move() {
        let mut noise = Noise::new(1);
        let mut frame = || -> [f32; FRAME_48K] { std::array::from_fn(|_| noise.next()) };
        let mut down = Down::default();
        for _ in 0..5 {
            down.process(&frame());
        }
        let mut moved = Down::resume(down.last());
        let next = frame();
        assert_eq!(down.process(&next), moved.process(&next));
    }
}
