//! Signals for tests: noise, synthetic voices, and real speech where it is present.

use std::path::{Path, PathBuf};

/// Reproducible noise, uniform in ±1.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> f32 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32;
        bits / (1 << 23) as f32 - 1.0
    }
}

/// A voice of sorts at `rate`: harmonics of a wandering pitch through moving formants, in syllables, with pauses.
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
            let phrase = if (t * 0.45).fract() < 0.8 { 1.0 } else { 0.0 };
            let mut sample = 0.0;
            for harmonic in 1..=20 {
                let hz = pitch * harmonic as f32;
                let peak = |f: f32, width: f32| 1.0 / (1.0 + ((hz - f) / width).powi(2));
                let gain = peak(f1, 120.0) + 0.5 * peak(f2, 160.0) + 0.02;
                sample += gain * (std::f32::consts::TAU * phase * harmonic as f32).sin();
            }
            phrase * syllable * (0.12 * sample + 0.01 * noise.next())
        })
        .collect()
}

/// The folder that holds `speech/`, if it is there.
fn data() -> Option<PathBuf> {
    let given = std::env::var_os("AURALINK_TEST_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let found = given.into_iter().chain([beside]).find(|path| path.join("speech").is_dir());
    if found.is_none() {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        eprintln!("{test}: no speech/ in $AURALINK_TEST_DATA or ../shared/data: real speech is skipped");
    }
    found
}

/// One recording, by its path below `speech/`.
pub(crate) fn speech_clip(path: &str) -> Option<Vec<f32>> {
    let path = data()?.join("speech").join(path);
    path.is_file().then(|| flac_16k(&path))
}

/// Up to `count` clips of read speech at 16 kHz with their names, spread over the speakers, the same every time. None,
/// and a line that says so, where the recordings are missing.
pub(crate) fn speech_clips(count: usize) -> Vec<(String, Vec<f32>)> {
    let Some(data) = data() else { return Vec::new() };
    let mut files = Vec::new();
    for folder in ["librispeech-test-other", "librispeech-train-clean-100", "rhasspy-nathalie-nl"] {
        collect(&data.join("speech").join(folder), &mut files);
    }
    files.sort();
    let step = (files.len() / count.max(1)).max(1);
    files
        .iter()
        .step_by(step)
        .take(count)
        .map(|path| (path.file_name().expect("a file").to_string_lossy().into_owned(), flac_16k(path)))
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "flac") {
            files.push(path);
        }
    }
}

fn flac_16k(path: &Path) -> Vec<f32> {
    let mut reader = claxon::FlacReader::open(path).expect("readable");
    let info = reader.streaminfo();
    assert_eq!((info.sample_rate, info.channels), (16_000, 1), "{}", path.display());
    let scale = 1.0 / (1_i64 << (info.bits_per_sample - 1)) as f32;
    reader.samples().map(|sample| sample.expect("whole") as f32 * scale).collect()
}
