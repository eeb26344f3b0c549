//! Signals for tests: noise, synthetic voices, and real speech where it is present.

use std::path::{Path, PathBuf};

mod voice;

pub(crate) use voice::Noise;

/// [`voice::voice`] in phrases, with pauses between them.
pub(crate) fn voice(rate: f32, seconds: f32, seed: u64) -> Vec<f32> {
    let spoken = |n: usize| (n as f32 / rate * 0.45).fract() < 0.8;
    let whole = voice::voice(rate, seconds, seed);
    whole.into_iter().enumerate().map(|(n, sample)| if spoken(n) { sample } else { 0.0 }).collect()
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
