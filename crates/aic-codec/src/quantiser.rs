//! The residual quantiser: 12 stages of 1024 vectors, each stage describing what the earlier ones left.
//!
//! The search follows the best few partial descriptions side by side (a beam) and is the same for every backend. It is
//! deterministic: sums run in one order, and of equal candidates the lower index wins. It allocates nothing.

use multiversion::multiversion;

use crate::codec::{BITS, Codes, STAGES};
use crate::error::CodecError;

/// Numbers in a latent vector.
pub const LATENT: usize = 64;
/// Vectors of a stage.
pub(crate) const ENTRIES: usize = 1 << BITS;
/// Bytes of a codebook file: 16-bit floats, stages × entries × dimensions.
pub(crate) const FILE_BYTES: usize = STAGES * ENTRIES * LATENT * 2;
/// The widest beam.
pub const MAX_BEAMS: usize = 8;

/// Entries side by side in memory, so that one instruction works on several.
const LANES: usize = 16;
const BLOCKS: usize = ENTRIES / LANES;
/// Beams that share one pass over a codebook.
const GROUP: usize = 4;

type Lanes = [f32; LANES];
type Vector = [f32; LATENT];

pub(crate) struct Quantiser {
    stages: Vec<Stage>,
}

struct Stage {
    /// Block by block of 16 entries, dimension by dimension.
    vectors: Vec<Lanes>,
    /// Half the squared length of each entry.
    half_norms: Vec<Lanes>,
}

impl Quantiser {
    /// From little-endian 16-bit floats, stages × entries × dimensions. What is wrong with them, if something is.
    pub(crate) fn new(file: &[u8]) -> Result<Self, &'static str> {
        if file.len() != FILE_BYTES {
            return Err("not 12 × 1024 × 64 16-bit floats");
        }
        let (halves, _) = file.as_chunks::<2>();
        let values: Vec<f32> = halves.iter().map(|half| from_half(u16::from_le_bytes(*half))).collect();
        if !values.iter().all(|value| value.is_finite()) {
            return Err("a value is not finite");
        }
        let (entries, _) = values.as_chunks::<LATENT>();
        let stages = entries.chunks_exact(ENTRIES).map(Stage::new).collect();
        Ok(Self { stages })
    }

    /// Adds up the first `stages` vectors. None gives zeros.
    pub(crate) fn decode(&self, codes: &Codes, stages: u8, out: &mut Vector) -> Result<(), CodecError> {
        let used = codes.0.get(..usize::from(stages)).ok_or(CodecError::Stages(stages))?;
        *out = [0.0; LATENT];
        for (stage, (&code, book)) in used.iter().zip(&self.stages).enumerate() {
            if usize::from(code) >= ENTRIES {
                return Err(CodecError::Code { stage, code });
            }
            book.add(usize::from(code), 1.0, out);
        }
        Ok(())
    }

    /// The codes that describe `latent` best, as far as `search` looks.
    pub(crate) fn encode(&self, latent: &Vector, search: &mut Search) -> Codes {
        search.beams.clear();
        search.beams.push(Beam { residual: *latent, error: 0.0, codes: Codes([0; STAGES]) });
        for (stage, book) in self.stages.iter().enumerate() {
            let keep = if stage + 1 == search.commit || stage + 1 == STAGES { 1 } else { search.width };
            search.step(stage, book, keep);
        }
        search.beams[0].codes
    }
}

impl std::fmt::Debug for Quantiser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quantiser").field("stages", &self.stages.len()).finish()
    }
}

impl Stage {
    fn new(entries: &[Vector]) -> Self {
        let mut vectors = vec![[0.0; LANES]; BLOCKS * LATENT];
        let mut half_norms = vec![[0.0; LANES]; BLOCKS];
        for (index, entry) in entries.iter().enumerate() {
            let (block, lane) = (index / LANES, index % LANES);
            for (dimension, &value) in entry.iter().enumerate() {
                vectors[block * LATENT + dimension][lane] = value;
                half_norms[block][lane] += 0.5 * value * value;
            }
        }
        Self { vectors, half_norms }
    }

    /// Adds `sign` times an entry to `out`.
    fn add(&self, entry: usize, sign: f32, out: &mut Vector) {
        let (block, lane) = (entry / LANES, entry % LANES);
        for (value, row) in out.iter_mut().zip(&self.vectors[block * LATENT..]) {
            *value += sign * row[lane];
        }
    }
}

/// One partial description.
#[derive(Clone, Copy, Debug)]
struct Beam {
    residual: Vector,
    /// Squared error, less the latent's own square, which all beams share.
    error: f32,
    codes: Codes,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    error: f32,
    parent: usize,
    entry: usize,
}

/// A stream's search: its settings and its room to work.
#[derive(Debug)]
pub(crate) struct Search {
    width: usize,
    commit: usize,
    beams: Vec<Beam>,
    next: Vec<Beam>,
    best: Vec<Candidate>,
    scores: Vec<[Lanes; BLOCKS]>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            width: 4,
            commit: STAGES,
            beams: Vec::with_capacity(MAX_BEAMS),
            next: Vec::with_capacity(MAX_BEAMS),
            best: Vec::with_capacity(MAX_BEAMS + 1),
            scores: vec![[[0.0; LANES]; BLOCKS]; GROUP],
        }
    }
}

impl Search {
    pub(crate) fn set_beams(&mut self, width: usize) {
        self.width = width.clamp(1, MAX_BEAMS);
    }

    pub(crate) fn commit_after(&mut self, stages: usize) {
        self.commit = stages;
    }

    fn step(&mut self, stage: usize, book: &Stage, keep: usize) {
        self.best.clear();
        for (group, beams) in self.beams.chunks(GROUP).enumerate() {
            match *beams {
                [a] => score(book, [&a.residual], &mut self.scores),
                [a, b] => score(book, [&a.residual, &b.residual], &mut self.scores),
                [a, b, c] => score(book, [&a.residual, &b.residual, &c.residual], &mut self.scores),
                [a, b, c, d] => {
                    score(book, [&a.residual, &b.residual, &c.residual, &d.residual], &mut self.scores);
                }
                _ => unreachable!("chunks of at most four"),
            }
            for (within, (beam, scores)) in beams.iter().zip(&self.scores).enumerate() {
                for (block, lanes) in scores.iter().enumerate() {
                    // Whole blocks are passed over, once the first candidates are known.
                    let full = self.best.len() == keep;
                    let bar =
                        self.best.last().map_or(f32::INFINITY, |worst| 0.5 * (worst.error - beam.error));
                    if full && !lanes.iter().any(|&score| score <= bar) {
                        continue;
                    }
                    for (lane, &score) in lanes.iter().enumerate() {
                        let error = beam.error + 2.0 * score;
                        let (parent, entry) = (group * GROUP + within, block * LANES + lane);
                        insert(&mut self.best, keep, Candidate { error, parent, entry });
                    }
                }
            }
        }
        self.next.clear();
        for candidate in &self.best {
            let mut beam = self.beams[candidate.parent];
            book.add(candidate.entry, -1.0, &mut beam.residual);
            beam.error = candidate.error;
            beam.codes.0[stage] = candidate.entry as u16;
            self.next.push(beam);
        }
        std::mem::swap(&mut self.beams, &mut self.next);
    }
}

/// Keeps the `keep` best, ascending. Candidates come in ascending order of parent and entry, so that of equal ones the
/// lower index stays ahead.
fn insert(best: &mut Vec<Candidate>, keep: usize, candidate: Candidate) {
    if best.len() == keep && best.last().is_some_and(|worst| candidate.error >= worst.error) {
        return;
    }
    let at = best.partition_point(|kept| kept.error <= candidate.error);
    best.insert(at, candidate);
    best.truncate(keep);
}

/// For each beam and entry: half the entry's square minus its product with the residual, so the smallest is nearest.
#[multiversion(targets("x86_64+avx+avx2+avx512f+avx512vl", "x86_64+avx+avx2"))]
fn score<const N: usize>(book: &Stage, residuals: [&Vector; N], scores: &mut [[Lanes; BLOCKS]]) {
    let (blocks, _) = book.vectors.as_chunks::<LATENT>();
    for (index, (block, half)) in blocks.iter().zip(&book.half_norms).enumerate() {
        let mut sums = [*half; N];
        for (dimension, row) in block.iter().enumerate() {
            for (sum, residual) in sums.iter_mut().zip(&residuals) {
                let value = residual[dimension];
                for lane in 0..LANES {
                    sum[lane] -= value * row[lane];
                }
            }
        }
        for (beam, sum) in sums.iter().enumerate() {
            scores[beam][index] = *sum;
        }
    }
}

/// IEEE 754 binary16.
fn from_half(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10 & 0x1f);
    let fraction = u32::from(half & 0x3ff);
    match exponent {
        // Subnormal: a multiple of 2^-24.
        0 => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors whose length halves every other stage, from a multiplicative generator.
    fn quantiser() -> Quantiser {
        let mut seed = 1_u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / 8_388_608.0 - 1.0
        };
        let stages = (0..STAGES)
            .map(|stage| {
                let scale = 0.7_f32.powi(i32::try_from(stage).unwrap());
                let entries: Vec<Vector> =
                    (0..ENTRIES).map(|_| std::array::from_fn(|_| scale * noise())).collect();
                Stage::new(&entries)
            })
            .collect();
        Quantiser { stages }
    }

    fn error(quantiser: &Quantiser, latent: &Vector, codes: &Codes, stages: u8) -> f32 {
        let mut decoded = [0.0; LATENT];
        quantiser.decode(codes, stages, &mut decoded).unwrap();
        latent.iter().zip(decoded).map(|(a, b)| (a - b) * (a - b)).sum()
    }

    fn latents() -> impl Iterator<Item = Vector> {
        (0..20).map(|n| std::array::from_fn(|d| ((n * 64 + d) as f32 * 12.9898).sin()))
    }

    #[test]
    fn a_greedy_search_takes_the_nearest_at_each_stage() {
        let quantiser = quantiser();
        let mut search = Search::default();
        search.set_beams(1);
        for latent in latents() {
            let codes = quantiser.encode(&latent, &mut search);
            let mut residual = latent;
            for (book, code) in quantiser.stages.iter().zip(codes.0) {
                let distance = |entry: usize| {
                    let mut left = residual;
                    book.add(entry, -1.0, &mut left);
                    left.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>()
                };
                let least = (0..ENTRIES).map(distance).fold(f64::INFINITY, f64::min);
                assert!(distance(usize::from(code)) < least + 1e-4);
                book.add(usize::from(code), -1.0, &mut residual);
            }
        }
    }

    #[test]
    fn a_beam_is_better_on_the_whole_and_a_committed_one_at_its_rate() {
        let quantiser = quantiser();
        let mut total = [0.0; 5];
        for latent in latents() {
            let mut search = Search::default();
            let beam = quantiser.encode(&latent, &mut search);
            search.commit_after(3);
            let committed = quantiser.encode(&latent, &mut search);
            search.set_beams(1);
            let greedy = quantiser.encode(&latent, &mut search);
            total[0] += error(&quantiser, &latent, &beam, 12);
            total[1] += error(&quantiser, &latent, &greedy, 12);
            total[2] += error(&quantiser, &latent, &beam, 3);
            total[3] += error(&quantiser, &latent, &committed, 3);
            total[4] += error(&quantiser, &latent, &committed, 12);
        }
        assert!(total[0] < total[1] && total[3] < total[2] && total[0] < total[4], "{total:?}");
    }

    #[test]
    fn of_equal_candidates_the_lower_index_wins() {
        let entries = vec![[0.5; LATENT]; ENTRIES];
        let quantiser = Quantiser { stages: (0..STAGES).map(|_| Stage::new(&entries)).collect() };
        for width in [1, 4, 8] {
            let mut search = Search::default();
            search.set_beams(width);
            assert_eq!(quantiser.encode(&[0.5; LATENT], &mut search), Codes([0; STAGES]));
        }
    }

    #[test]
    fn impossible_codes_and_files_are_refused() {
        let quantiser = quantiser();
        let mut out = [0.0; LATENT];
        let mut codes = Codes([0; STAGES]);
        codes.0[5] = 1024;
        assert!(quantiser.decode(&codes, 5, &mut out).is_ok());
        assert!(matches!(
            quantiser.decode(&codes, 6, &mut out),
            Err(CodecError::Code { stage: 5, code: 1024 })
        ));
        assert!(matches!(quantiser.decode(&codes, 13, &mut out), Err(CodecError::Stages(13))));
        assert!(Quantiser::new(&[0; 12]).is_err());
        let mut file = vec![0; FILE_BYTES];
        file[1] = 0x7c;
        assert!(Quantiser::new(&file).is_err());
    }

    #[test]
    fn halves_are_read() {
        for (half, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x8400, -6.103_515_6e-5),
            (0x3555, 0.333_251_95),
        ] {
            assert_eq!(from_half(half), value);
        }
        assert!(from_half(0x7c00).is_infinite() && from_half(0x7e00).is_nan());
    }
}
