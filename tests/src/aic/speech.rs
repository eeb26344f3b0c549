//! What is said: recordings from the data folder, and chords that no speech codec carries.

use crate::speech::{RATE, reader};

/// LibriSpeech readers of the held-out set, for different people.
const READERS: [&str; 4] = ["2414", "3080", "3331", "367"];
const SECONDS: usize = 8;

/// Mono at 16 kHz, ±1.
#[derive(Debug, Clone)]
pub struct Clip {
    /// Who speaks.
    pub name: String,
    /// The samples.
    pub samples: Vec<f32>,
}

/// Eight seconds each of `count` different speakers; `None`, and said so, when the recordings are not there.
pub fn speech(count: usize) -> anyhow::Result<Option<Vec<Clip>>> {
    let mut clips = Vec::new();
    for number in READERS.into_iter().take(count) {
        let Some(mut samples) = reader(number, SECONDS)? else {
            eprintln!("skipped: no recordings of reader {number} (set AURALINK_TEST_DATA)");
            return Ok(None);
        };
        samples.truncate(SECONDS * RATE as usize / 320 * 320);
        clips.push(Clip { name: format!("reader {number}"), samples });
    }
    Ok(Some(clips))
}

/// Chords that change every half second: music, as far as a codec is concerned.
pub fn chords(seconds: usize) -> Clip {
    let rate = RATE as usize;
    let roots = [220.0, 261.63, 329.63, 293.66];
    let sample = |index: usize| {
        let time = index as f32 / RATE as f32;
        let root: f32 = roots[index / (rate / 2) % roots.len()];
        let note = |ratio: f32| (std::f32::consts::TAU * root * ratio * time).sin();
        0.12 * (note(1.0) + note(1.25) + note(1.5) + note(2.0))
    };
    Clip { name: "chords".to_owned(), samples: (0..seconds * rate).map(sample).collect() }
}

impl Clip {
    /// At 48 kHz, in frames of 20 ms.
    pub(super) fn frames(&self) -> Vec<[f32; 960]> {
        let mut up = aic_codec::resample::Up::default();
        self.samples.as_chunks::<320>().0.iter().map(|frame| up.process(frame)).collect()
    }
}
