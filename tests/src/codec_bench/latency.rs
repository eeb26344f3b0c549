//! How long a 20 ms frame takes on one core, through the library.

use std::time::Duration;

use aic_codec::quality::Scorer;
use aic_codec::{Arrived, FRAME, Model};
use aura_types::{Clock, SystemClock};

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Default)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Half are faster.
    pub p50: f64,
    /// 95 % are faster.
    pub p95: f64,
    /// 99 % are faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl Spread {
    /// Of times in any order.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        if times.is_empty() {
            return Self::default();
        }
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let at = |share: f64| ms(times[((times.len() - 1) as f64 * share) as usize]);
        let mean = times.iter().map(|time| ms(*time)).sum::<f64>() / times.len() as f64;
        Self { mean, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
    }
}

/// Time spent in each part for each frame.
pub struct Parts {
    /// Encoding.
    pub encode: Spread,
    /// Decoding.
    pub decode: Spread,
    /// The quality score, which takes a decoded frame.
    pub score: Spread,
    /// All of it: what a sender spends.
    pub whole: Spread,
}

/// `frames` frames of `samples`, round and round, spread over `streams` streams on this one thread.
///
/// # Errors
/// When the codec refuses the samples.
pub fn library(model: &Model, samples: &[f32], streams: usize, frames: usize) -> anyhow::Result<Parts> {
    let clock = SystemClock;
    let mut coders: Vec<_> =
        (0..streams).map(|_| (model.encoder(), model.decoder(), Scorer::new(FRAME / 2))).collect();
    let chunks = samples.as_chunks::<FRAME>().0;
    let (mut encode, mut decode, mut score, mut whole) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut pcm = [0.0; FRAME];
    // The first frames fill caches.
    let warm = 50 * streams;
    for n in 0..frames + warm {
        let (encoder, decoder, scorer) = &mut coders[n % streams];
        let frame = &chunks[(n / streams) % chunks.len()];
        let start = clock.monotonic();
        let codes = encoder.encode(frame)?;
        let encoded = clock.monotonic();
        decoder.decode(Arrived::Coded { codes: &codes, stages: 12 }, &mut pcm)?;
        let decoded = clock.monotonic();
        scorer.push(frame, &pcm);
        if (n / streams).is_multiple_of(10) {
            std::hint::black_box(scorer.score());
        }
        let scored = clock.monotonic();
        if n >= warm {
            encode.push(encoded - start);
            decode.push(decoded - encoded);
            score.push(scored - decoded);
            whole.push(scored - start);
        }
    }
    Ok(Parts {
        encode: Spread::of(encode),
        decode: Spread::of(decode),
        score: Spread::of(score),
        whole: Spread::of(whole),
    })
}
