//! Recorded speech for microphones, and what came of it at the other end. Samples are mono at 16 kHz, full scale ±1.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

/// Samples per second.
pub const RATE: u32 = 16_000;

/// About `seconds` of one LibriSpeech reader who is not in the training data, or `None` where the recordings are
/// missing: they lie in `$AURALINK_TEST_DATA/speech`, by default beside the checkout.
pub fn reader(number: &str, seconds: usize) -> anyhow::Result<Option<Vec<f32>>> {
    let folder = recordings().map(|speech| speech.join("librispeech-test-other"));
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else { return Ok(None) };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{number}-")))
        })
        .collect();
    files.sort();
    let mut samples = Vec::new();
    for file in files {
        if samples.len() >= seconds * RATE as usize {
            break;
        }
        samples.extend(read_flac(&file, usize::MAX)?);
    }
    Ok((!samples.is_empty()).then_some(samples))
}

/// The folder of recordings, one folder a set: in `$AURALINK_TEST_DATA`, by default beside the checkout. `None` where
/// they are missing.
pub fn recordings() -> Option<PathBuf> {
    let given = std::env::var_os("AURALINK_TEST_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    Some(given.unwrap_or(beside).join("speech")).filter(|speech| speech.is_dir())
}

/// The first `limit` samples of a 16-bit FLAC file.
pub fn read_flac(path: &Path, limit: usize) -> anyhow::Result<Vec<f32>> {
    let mut reader = claxon::FlacReader::open(path).with_context(|| path.display().to_string())?;
    let samples: Result<Vec<i32>, _> = reader.samples().take(limit).collect();
    Ok(samples?.into_iter().map(|sample| sample as f32 / 32_768.0).collect())
}

/// Writes a WAV file of 16-bit samples.
pub fn write_wav(path: &Path, samples: &[f32]) -> std::io::Result<()> {
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|sample| ((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).to_le_bytes())
        .collect();
    let length = data.len() as u32;
    let mut bytes = Vec::with_capacity(data.len() + 44);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + length).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel, 16 bits.
    for word in [1_u16, 1] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(&RATE.to_le_bytes());
    bytes.extend_from_slice(&(RATE * 2).to_le_bytes());
    for word in [2_u16, 16] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&data);
    std::fs::write(path, bytes)
}

/// Samples that a page answered as a list of 16-bit numbers.
pub fn from_page(list: &Value) -> Vec<f32> {
    crate::entries(list).filter_map(Value::as_f64).map(|sample| sample as f32 / 32_768.0).collect()
}

/// The stretches of `said` and `heard` that are the same speech, equally long: found by where their loudness runs
/// alike, to a millisecond; a neural codec keeps no waveform. `None` when they share less than two seconds.
pub fn aligned(said: &[f32], heard: &[f32], latest_ms: usize) -> Option<(Vec<f32>, Vec<f32>)> {
    const COARSE_MS: usize = 5;
    let latest = (latest_ms / COARSE_MS) as isize;
    let coarse =
        best(&loudness(said, COARSE_MS), &loudness(heard, COARSE_MS), -latest..=latest, 2000 / COARSE_MS)?;
    let near = coarse * COARSE_MS as isize;
    let reach = 2 * COARSE_MS as isize;
    let late = best(&loudness(said, 1), &loudness(heard, 1), near - reach..=near + reach, 2000)?;
    let (from_said, from_heard, length) = overlap(said.len(), heard.len(), late * MILLISECOND as isize);
    Some((said[from_said..from_said + length].to_vec(), heard[from_heard..from_heard + length].to_vec()))
}

const MILLISECOND: usize = RATE as usize / 1000;

/// Levels of 10 ms, one every `hop_ms`, around their mean.
fn loudness(samples: &[f32], hop_ms: usize) -> Vec<f32> {
    let windows = samples.windows(10 * MILLISECOND).step_by(hop_ms * MILLISECOND);
    let powers = windows.map(|window| window.iter().map(|sample| sample * sample).sum::<f32>());
    let levels: Vec<f32> = powers.map(|power| (power + 1e-4).ln()).collect();
    let mean = levels.iter().sum::<f32>() / levels.len().max(1) as f32;
    levels.iter().map(|level| level - mean).collect()
}

/// By how much `b` is later than `a` where they correlate best, if they overlap in at least `least`.
fn best(a: &[f32], b: &[f32], late: std::ops::RangeInclusive<isize>, least: usize) -> Option<isize> {
    let likeness = |late: isize| {
        let (from_a, from_b, length) = overlap(a.len(), b.len(), late);
        if length < least {
            return None;
        }
        let (a, b) = (&a[from_a..from_a + length], &b[from_b..from_b + length]);
        let dot: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        let power = |samples: &[f32]| samples.iter().map(|sample| sample * sample).sum::<f32>();
        Some(dot / (power(a) * power(b)).sqrt().max(1e-9))
    };
    late.filter_map(|late| Some((late, likeness(late)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(late, _)| late)
}

/// Where both begin and for how long they overlap when `b` is `late`.
fn overlap(a: usize, b: usize, late: isize) -> (usize, usize, usize) {
    let (from_a, from_b) = if late < 0 { (late.unsigned_abs(), 0) } else { (0, late.unsigned_abs()) };
    // The same moment is at `from_b` in the later one.
    (from_a, from_b, a.saturating_sub(from_a).min(b.saturating_sub(from_b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_speech_is_found_again() {
        let mut seed = 1_u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed as f32 / u32::MAX as f32 - 0.5
        };
        let said: Vec<f32> = (0..64_000).map(|n| noise() * (1.0 + (n as f32 / 3_000.0).sin())).collect();
        let heard = [vec![0.0; 4_321], said[..59_000].to_vec()].concat();
        // 4,321 samples are 270 ms and a bit.
        let late = 270 * MILLISECOND;
        let (a, b) = aligned(&said, &heard, 1_000).expect("they overlap");
        assert_eq!((a.len(), &b[..]), (heard.len() - late, &heard[late..]));
        assert_eq!(a, said[..a.len()]);
        let (b, a) = aligned(&heard, &said, 1_000).expect("they overlap");
        assert_eq!((a.len(), &b[..]), (heard.len() - late, &heard[late..]));
        assert!(aligned(&said[..1_000], &heard, 1_000).is_none());
    }
}
