//! A voice to send, and how alike two recordings are.

use bytes::Bytes;

/// Reproducible noise, uniform in ±1.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn next(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.bits() >> 56) as u8).collect()
    }
}

/// Harmonics of a wandering pitch through moving formants, in syllables, without pauses.
pub(crate) fn voice(hz: u32, seconds: f32, seed: u64) -> Vec<f32> {
    let mut noise = Noise::new(seed);
    let rate = hz as f32;
    let base = 110.0 + 60.0 * noise.next();
    let mut phase = 0.0_f32;
    let (mut f1, mut f2) = (500.0_f32, 1_500.0_f32);
    (0..(rate * seconds) as usize)
        .map(|n| {
            let t = n as f32 / rate;
            if n % (hz as usize / 5) == 0 {
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

pub(crate) fn to_pcm(samples: &[f32]) -> Bytes {
    samples.iter().flat_map(|sample| ((sample * 32_767.0) as i16).to_le_bytes()).collect::<Vec<u8>>().into()
}

pub(crate) fn from_pcm(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<2>().0.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0).collect()
}

/// Loudness of every 20 ms, in dB, not below −60.
pub(crate) fn loudness(hz: u32, samples: &[f32]) -> Vec<f32> {
    samples
        .chunks_exact(hz as usize / 50)
        .map(|frame| {
            let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / frame.len() as f32;
            (10.0 * power.max(1e-6).log10()).max(-60.0)
        })
        .collect()
}

/// How well the loudness of `b` follows that of `a`, at the best delay of up to 100 ms: 1 is the same.
pub(crate) fn likeness(a: &[f32], b: &[f32]) -> f32 {
    (0..=5).filter_map(|late| correlation(a, b.get(late..)?)).fold(-1.0, f32::max)
}

fn correlation(a: &[f32], b: &[f32]) -> Option<f32> {
    let length = a.len().min(b.len());
    if length < 10 {
        return None;
    }
    let (a, b) = (&a[..length], &b[..length]);
    let mean = |values: &[f32]| values.iter().sum::<f32>() / length as f32;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f32, f32) -> f32| -> f32 {
        a.iter().zip(b).map(|(x, y)| f(x - mean_a, y - mean_b)).sum()
    };
    let both = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    Some(sum(&|x, y| x * y) / both.max(1e-9))
}
