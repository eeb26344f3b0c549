//! Background noise in four bands, so that a pause does not sound like a dead line.

use crate::codec::FRAME;
use crate::payload::{BAND_EDGES_HZ, BANDS, Silence};

/// How fast the noise follows a new description, per frame.
const FOLLOW: f32 = 0.2;

#[derive(Debug)]
pub(super) struct Comfort {
    random: u64,
    bands: [Band; BANDS],
    wanted: [f32; BANDS],
}

/// A band-pass of second order (R. Bristow-Johnson's cookbook) with its gain for white noise.
#[derive(Clone, Copy, Debug)]
struct Band {
    b0: f32,
    a1: f32,
    a2: f32,
    x: [f32; 2],
    y: [f32; 2],
    /// Mean square of the output for white noise of mean square 1.
    power: f32,
    gain: f32,
}

impl Default for Comfort {
    fn default() -> Self {
        let bands = std::array::from_fn(|band| Band::new(BAND_EDGES_HZ[band], BAND_EDGES_HZ[band + 1]));
        Self { random: 0x2545_f491_4f6c_dd1d, bands, wanted: [0.0; BANDS] }
    }
}

impl Comfort {
    pub(super) fn describe(&mut self, silence: Silence) {
        for (wanted, (power, band)) in
            self.wanted.iter_mut().zip(silence.powers().into_iter().zip(&self.bands))
        {
            *wanted = (power / band.power).sqrt();
        }
    }

    /// Adds the noise to `out`, fading from the first gain to the second.
    pub(super) fn add(&mut self, out: &mut [f32; FRAME], from: f32, to: f32) {
        for (band, wanted) in self.bands.iter_mut().zip(self.wanted) {
            band.gain += if band.gain == 0.0 { wanted } else { FOLLOW * (wanted - band.gain) };
        }
        for (n, sample) in out.iter_mut().enumerate() {
            let white = self.white();
            let noise: f32 = self.bands.iter_mut().map(|band| band.gain * band.filter(white)).sum();
            *sample += noise * (from + (to - from) * (n + 1) as f32 / FRAME as f32);
        }
    }

    /// Uniform, mean square 1.
    fn white(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 40) as f32 / (1 << 23) as f32 - 1.0) * 3.0_f32.sqrt()
    }
}

impl Band {
    fn new(low: f32, high: f32) -> Self {
        let high = high.min(7_600.0);
        let centre = std::f32::consts::TAU * (low * high).sqrt() / 16_000.0;
        let alpha = centre.sin() * (high - low) / (low * high).sqrt() / 2.0;
        let a0 = 1.0 + alpha;
        let mut band = Self {
            b0: alpha / a0,
            a1: -2.0 * centre.cos() / a0,
            a2: (1.0 - alpha) / a0,
            x: [0.0; 2],
            y: [0.0; 2],
            power: 0.0,
            gain: 0.0,
        };
        // The energy of the impulse response is the noise power.
        let mut probe = band;
        band.power = (0..4_000).map(|n| probe.filter(if n == 0 { 1.0 } else { 0.0 }).powi(2)).sum();
        band
    }

    fn filter(&mut self, x: f32) -> f32 {
        let y = self.b0 * (x - self.x[1]) - self.a1 * self.y[0] - self.a2 * self.y[1];
        self.x = [x, self.x[0]];
        self.y = [y, self.y[0]];
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_is_as_loud_as_described() {
        for silence in
            [Silence { level: 50, bands: [0, 2, 5, 9] }, Silence { level: 60, bands: [3, 0, 1, 2] }]
        {
            let mut comfort = Comfort::default();
            comfort.describe(silence);
            let mut power = 0.0;
            for _ in 0..200 {
                let mut out = [0.0; FRAME];
                comfort.add(&mut out, 1.0, 1.0);
                power += out.iter().map(|s| s * s).sum::<f32>() / FRAME as f32 / 200.0;
            }
            let level = -10.0 * power.log10();
            assert!((level - f32::from(silence.level)).abs() < 2.0, "{level} for {silence:?}");
        }
        let mut out = [0.0; FRAME];
        Comfort::default().add(&mut out, 1.0, 1.0);
        assert_eq!(out, [0.0; FRAME]);
    }
}
