//! A voice to send, and how alike two recordings are.

use bytes::Bytes;

#[path = "../../src/testing/voice.rs"]
mod computed;

pub(crate) use computed::Noise;

pub(crate) fn voice(hz: u32, seconds: f32, seed: u64) -> Vec<f32> {
    computed::voice(hz as f32, seconds, seed)
}

pub(crate) fn random_bytes(noise: &mut Noise, length: usize) -> Vec<u8> {
    (0..length).map(|_| (noise.bits() >> 56) as u8).collect()
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
