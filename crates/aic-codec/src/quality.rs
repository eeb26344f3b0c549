//! `quality_score`: how close decoded speech is to what was said, 0 to 1, without a listener.
//!
//! 0.3 × STOI + 0.2 × correlation of log envelopes + 0.5 × log-mel closeness, over active speech only. The sender has
//! both signals, so it decodes what it sends and asks every 200 ms. A score of speech alone: silence has none. It was
//! fitted by hand and must not be trained on.

mod mel;
mod stoi;
mod ten_kilo;

use std::collections::VecDeque;

pub use stoi::stoi;

use crate::codec::FRAME;
use mel::{Analyser, Row};
use stoi::Stoi;
use ten_kilo::TenKilo;

/// Decoded samples come this much later than those they describe: the codec's MDCT overlap.
pub const DECODER_DELAY: usize = 160;
/// The window of the online score: 1.5 s of hops, and of samples at 10 kHz.
const WINDOW_ROWS: usize = 150;
/// What counts as speech in it is judged by the level of the last 10 s, as in a clip of that length: by the window's own,
/// breath and the ends of words count as much as vowels, and the scores are lower than the clip's.
const LEVEL_ROWS: usize = 1_000;
const WINDOW_10K: usize = 15_000;

/// A score and its parts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Score {
    /// Short-time objective intelligibility, 0–1.
    pub stoi: f32,
    /// Mean correlation of the bands' log envelopes over 400 ms, at most 1.
    pub envelope: f32,
    /// Mean absolute difference of the log-mel spectra in dB.
    pub distance_db: f32,
}

impl Score {
    /// Closeness of the spectra, 0–1: half at 6 dB.
    pub fn spectrum(&self) -> f32 {
        1.0 / (1.0 + (self.distance_db / 6.0).powf(2.3))
    }

    /// The `quality_score`, 0–1.
    pub fn total(&self) -> f32 {
        (0.3 * self.stoi + 0.2 * self.envelope + 0.5 * self.spectrum()).clamp(0.0, 1.0)
    }
}

/// Scores a whole clip at 16 kHz. The signals are aligned and equally long; what is longer is not looked at.
///
/// `None` if there is less than 0.4 s of speech in it.
pub fn score(reference: &[f32], decoded: &[f32]) -> Option<Score> {
    let length = reference.len().min(decoded.len());
    let (reference, decoded) = (&reference[..length], &decoded[..length]);
    let mut analyser = Analyser::default();
    let rows = |analyser: &mut Analyser, samples: &[f32]| -> Vec<Row> {
        samples.windows(mel::WINDOW).step_by(mel::HOP).map(|window| analyser.row(window)).collect()
    };
    let (r, d) = (rows(&mut analyser, reference), rows(&mut analyser, decoded));
    let mean = r.iter().map(mel::loudness).sum::<f32>() / r.len().max(1) as f32;
    let (distance_db, envelope) = mel::compare(&r, &d, mean)?;
    Some(Score { stoi: stoi(reference, decoded, 16_000)?, envelope, distance_db })
}

/// The score of the last 1.5 s of a stream.
#[derive(Debug)]
pub struct Scorer {
    analyser: Analyser,
    stoi: Stoi,
    reference: Side,
    decoded: Side,
    /// How loud the reference was.
    level: VecDeque<f32>,
    /// Reference samples that the decoder has not returned yet.
    ahead: VecDeque<f32>,
}

/// One signal's window.
#[derive(Debug, Default)]
struct Side {
    samples: Vec<f32>,
    rows: VecDeque<Row>,
    ten_kilo: TenKilo,
    at_10k: VecDeque<f32>,
}

impl Scorer {
    /// For a decoder whose output is `delay` samples late: [`DECODER_DELAY`] for AIC.
    pub fn new(delay: usize) -> Self {
        Self {
            analyser: Analyser::default(),
            stoi: Stoi::default(),
            reference: Side::default(),
            decoded: Side::default(),
            level: VecDeque::new(),
            ahead: VecDeque::from(vec![0.0; delay]),
        }
    }

    /// The next frame as it was spoken and as it is heard.
    pub fn push(&mut self, reference: &[f32; FRAME], decoded: &[f32; FRAME]) {
        self.ahead.extend(reference);
        let mut aligned = [0.0; FRAME];
        for (sample, ahead) in aligned.iter_mut().zip(self.ahead.drain(..FRAME)) {
            *sample = ahead;
        }
        let new = self.reference.push(&aligned, &mut self.analyser);
        for row in self.reference.rows.range(self.reference.rows.len() - new..) {
            if self.level.len() == LEVEL_ROWS {
                self.level.pop_front();
            }
            self.level.push_back(mel::loudness(row));
        }
        self.decoded.push(decoded, &mut self.analyser);
    }

    /// The score now; none if the window holds less than 0.4 s of speech. Costs about as much as coding a frame: ask
    /// every 200 ms.
    pub fn score(&mut self) -> Option<Score> {
        let mean = self.level.iter().sum::<f32>() / self.level.len().max(1) as f32;
        let (reference, decoded) =
            (self.reference.rows.make_contiguous(), self.decoded.rows.make_contiguous());
        let (distance_db, envelope) = mel::compare(reference, decoded, mean)?;
        let stoi = self
            .stoi
            .measure(self.reference.at_10k.make_contiguous(), self.decoded.at_10k.make_contiguous())?;
        Some(Score { stoi, envelope, distance_db })
    }

    /// Forgets the window, for instance because the rate has changed.
    pub fn clear(&mut self) {
        for side in [&mut self.reference, &mut self.decoded] {
            side.rows.clear();
            side.at_10k.clear();
        }
    }
}

impl Side {
    /// Answers how many rows are new.
    fn push(&mut self, frame: &[f32; FRAME], analyser: &mut Analyser) -> usize {
        self.samples.extend_from_slice(frame);
        let (mut start, mut new) = (0, 0);
        while start + mel::WINDOW <= self.samples.len() {
            if self.rows.len() == WINDOW_ROWS {
                self.rows.pop_front();
            }
            self.rows.push_back(analyser.row(&self.samples[start..start + mel::WINDOW]));
            start += mel::HOP;
            new += 1;
        }
        self.samples.drain(..start);
        if self.at_10k.len() >= WINDOW_10K {
            self.at_10k.drain(..ten_kilo::OUT);
        }
        self.at_10k.extend(self.ten_kilo.push(frame));
        new
    }
}

#[cfg(test)]
mod tests;
