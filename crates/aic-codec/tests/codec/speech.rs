//! Read speech at 16 kHz, where the recordings are present.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use aic_codec::FRAME;

/// Frames of up to `count` clips, spread over speakers whom the model was not trained on; the first `seconds` of each.
/// None, and a line that says so, where the recordings are missing.
pub(crate) fn clips(test: &str, count: usize, seconds: usize) -> Vec<Vec<[f32; FRAME]>> {
    let given = std::env::var_os("AURALINK_TEST_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folders = given.into_iter().chain([beside]).map(|data| data.join("speech/librispeech-test-other"));
    let Some(folder) = folders.into_iter().find(|folder| folder.is_dir()) else {
        eprintln!("SKIPPED {test}: no speech/ in $AURALINK_TEST_DATA or ../shared/data");
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "flac"));
    files.sort();
    let step = files.len() / count;
    files.iter().step_by(step.max(1)).take(count).map(|path| frames(path, seconds)).collect()
}

fn frames(path: &Path, seconds: usize) -> Vec<[f32; FRAME]> {
    let mut reader = claxon::FlacReader::new(File::open(path).unwrap()).unwrap();
    assert_eq!(reader.streaminfo().sample_rate, 16_000);
    let samples: Vec<f32> =
        reader.samples().take(16_000 * seconds).map(|sample| sample.unwrap() as f32 / 32_768.0).collect();
    samples.as_chunks::<FRAME>().0.to_vec()
}
