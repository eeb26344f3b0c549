//! Noise and a voice, computed: the same in the library's tests and in those of the service.

/// Reproducible noise, uniform in ±1.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// xorshift64*.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn next(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A voice of sorts at `rate`: harmonics of a wandering pitch through moving formants, in syllables, without pauses.
pub(crate) fn voice(rate: f32, seconds: f32, seed: u64) -> Vec<f32> {
    let mut noise = Noise::new(seed);
    let base = 110.0 + 60.0 * noise.next();
    let mut phase = 0.0_f32;
    let (mut f1, mut f2) = (500.0_f32, 1_500.0_f32);
    (0..(rate * seconds) as usize)
        .map(|n| {
            let t = n as f32 / rate;
            if n % (rate as usize / 5) == 0 {
                (f1, f2) = (500.0 + 250.0 * noise.next(), 1_600.0 + 700.0 * noise.next());
            }
            let pitch = base * (1.0 + 0.15 * (t * 4.1).sin() + 0.05 * (t * 11.0).sin());
            phase = (phase + pitch / rate).fract();
            let syllable = (0.5 - 0.5 * (t * 5.0 * std::f32::consts::TAU).cos()).powf(0.7);
            let mut sample = 0.0;
            for harmonic in 1..=20 {
                let hz = pitch * harmonic as f32;
                let peak = |f: f32, width: f32| 1.0 / (1.0 + ((hz - f) / width).powi(2));
                let gain = peak(f1, 120.0) + 0.5 * peak(f2, 160.0) + 0.02;
                sample += gain * (std::f32::consts::TAU * phase * harmonic as f32).sin();
            }
            syllable * (0.12 * sample + 0.01 * noise.next())
        })
        .collect()
}
