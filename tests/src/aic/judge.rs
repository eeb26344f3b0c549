//! How well a recording of what arrived matches what was said.
//!
//! The sender repeats its clip; jitter buffers stretch and cut. So the recording is judged in pieces of two seconds, each
//! aligned for itself by its loudness over time.

use aic_codec::quality::stoi;

use super::speech::Clip;
use crate::speech;

const RATE: usize = speech::RATE as usize;
/// Samples of one piece.
const PIECE: usize = 2 * RATE;
/// Resolution of alignment, in samples.
const COARSE: usize = 64;
const FINE: usize = 8;

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// Energy of what arrived relative to what was sent, in dB.
    pub level_db: f32,
    /// Mean intelligibility (STOI) of the pieces with speech, 0 to 1.
    pub stoi: f32,
    /// Intelligibility of the worst piece.
    pub worst: f32,
    /// Pieces judged.
    pub pieces: usize,
}

/// Judges a recording at 16 kHz against the clip that its sender repeats. `None` when there is not one piece of it.
pub fn judge(clip: &Clip, recording: &[f32]) -> Option<Heard> {
    let mut twice = clip.samples.clone();
    twice.extend_from_slice(&clip.samples);
    let sent_energy = mean_square(&clip.samples);
    let mut scores = Vec::new();
    let mut energy = 0.0;
    for piece in recording.chunks_exact(PIECE) {
        let at = align(&twice, clip.samples.len(), piece);
        energy += mean_square(piece);
        // `None`: hardly any speech in this piece.
        scores.extend(stoi(&twice[at..at + PIECE], piece, speech::RATE));
    }
    let pieces = recording.len() / PIECE;
    if scores.is_empty() {
        return None;
    }
    Some(Heard {
        level_db: 10.0 * (energy / pieces as f32 / sent_energy).log10(),
        stoi: scores.iter().sum::<f32>() / scores.len() as f32,
        worst: scores.iter().copied().fold(1.0, f32::min),
        pieces: scores.len(),
    })
}

/// Where in `reference` the piece begins, below `limit`.
fn align(reference: &[f32], limit: usize, piece: &[f32]) -> usize {
    let coarse = best(&envelope(reference, COARSE), &envelope(piece, COARSE), 0..limit / COARSE) * COARSE;
    let from = coarse.saturating_sub(2 * COARSE);
    let near = &reference[from..(from + PIECE + 4 * COARSE).min(reference.len())];
    let steps = (near.len() - PIECE) / FINE;
    from + best(&envelope(near, FINE), &envelope(piece, FINE), 0..steps.max(1)) * FINE
}

/// The shift of `needle` in `hay` at which the two go together best.
fn best(hay: &[f32], needle: &[f32], shifts: std::ops::Range<usize>) -> usize {
    let likeness = |shift: &usize| {
        let window = &hay[*shift..(*shift + needle.len()).min(hay.len())];
        let (a, b) = (mean(window), mean(needle));
        let pairs = || window.iter().zip(needle).map(|(x, y)| (x - a, y - b));
        let product: f32 = pairs().map(|(x, y)| x * y).sum();
        let norms = pairs().map(|(x, _)| x * x).sum::<f32>() * pairs().map(|(_, y)| y * y).sum::<f32>();
        product / norms.sqrt().max(1e-12)
    };
    shifts.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or(0)
}

/// Loudness over time: the root mean square around every `hop` samples.
fn envelope(samples: &[f32], hop: usize) -> Vec<f32> {
    let half = hop.max(COARSE) / 2;
    (0..samples.len() / hop)
        .map(|step| {
            let centre = step * hop + hop / 2;
            let window = &samples[centre.saturating_sub(half)..(centre + half).min(samples.len())];
            mean_square(window).sqrt().powf(0.5)
        })
        .collect()
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

fn mean_square(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise in bursts, which is speech as far as intelligibility measures are concerned.
    fn clip() -> Clip {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 9) as f32 / (1 << 22) as f32 - 1.0
        };
        let loud = |at: usize| 0.05 + 0.4 * ((at * at / 3_000_000 + at / 1_900) % 7) as f32 / 7.0;
        Clip { name: "bursts".into(), samples: (0..6 * RATE).map(|at| noise() * loud(at)).collect() }
    }

    #[test]
    fn what_was_sent_is_found_wherever_it_begins() {
        let clip = clip();
        for start in [0, 12_345, 5 * RATE] {
            let recording: Vec<f32> = clip
                .samples
                .iter()
                .chain(&clip.samples)
                .skip(start)
                .take(2 * PIECE)
                .map(|s| s * 0.5)
                .collect();
            let heard = judge(&clip, &recording).expect("speech in it");
            assert!(heard.worst > 0.99 && heard.pieces == 2, "{start}: {heard:?}");
            assert!((heard.level_db + 6.0).abs() < 2.5, "{heard:?}");
        }
    }

    #[test]
    fn something_else_is_not_taken_for_it() {
        let clip = clip();
        let other: Vec<f32> = clip.samples.iter().rev().copied().take(2 * PIECE).collect();
        let heard = judge(&clip, &other).expect("sound in it");
        assert!(heard.stoi < 0.4, "{heard:?}");
    }
}
