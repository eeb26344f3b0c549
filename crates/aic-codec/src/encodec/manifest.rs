//! What a user's EnCodec says of itself. Every number is bounded before anything is allocated by it.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::CodecError;
use crate::model::MANIFEST;

const MAX_RANK: usize = 6;
const MAX_STATES: usize = 256;
/// Floats of one side's state.
const MAX_STATE_FLOATS: usize = 4 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) id: String,
    kind: String,
    format: u32,
    pub(super) sample_rate: u32,
    pub(super) hop: usize,
    pub(super) codebooks: usize,
    pub(super) bits: u32,
    pub(super) encoder: Graph,
    pub(super) decoder: Graph,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Graph {
    pub(super) file: String,
    pub(super) sha256: String,
    pub(super) pcm: Port,
    pub(super) codes: Port,
    pub(super) state: Vec<State>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) shape: Vec<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) input: String,
    pub(super) output: String,
    pub(super) shape: Vec<i64>,
}

impl Manifest {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CodecError> {
        let refuse = |reason: String| CodecError::model(MANIFEST, reason);
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        manifest.check().map_err(refuse)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.kind != "encodec" || self.format != 1 {
            return Err("not an encodec manifest of format 1".into());
        }
        let token = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.id.is_empty() || self.id.len() > 32 || !self.id.chars().all(token) {
            return Err("the id is not 1 to 32 letters, digits and hyphens".into());
        }
        if !(8_000..=48_000).contains(&self.sample_rate) {
            return Err(format!("sample_rate {}: 8000 to 48000", self.sample_rate));
        }
        if self.hop == 0 || self.hop > self.sample_rate as usize {
            return Err(format!("hop {}: at most a second", self.hop));
        }
        if !(1..=32).contains(&self.codebooks) || !(1..=16).contains(&self.bits) {
            return Err(format!("{} codebooks of {} bits: up to 32 of up to 16", self.codebooks, self.bits));
        }
        for (side, graph) in [("encoder", &self.encoder), ("decoder", &self.decoder)] {
            graph.check(self.hop, self.codebooks).map_err(|reason| format!("{side}: {reason}"))?;
        }
        Ok(())
    }

    /// Tells models with other graphs apart.
    pub(super) fn fingerprint(&self) -> [u8; 8] {
        let mut hash = Sha256::new();
        for part in [&self.id, &self.encoder.sha256, &self.decoder.sha256] {
            hash.update(part.to_ascii_lowercase());
        }
        *hash.finalize().first_chunk().expect("a SHA-256 has 32 bytes")
    }
}

impl Graph {
    fn check(&self, hop: usize, codebooks: usize) -> Result<(), String> {
        let name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.file.starts_with('.') || self.file.is_empty() || !self.file.chars().all(name) {
            return Err("file: a plain name in the manifest's folder".into());
        }
        if elements(&self.pcm.shape) != Some(hop) {
            return Err(format!("pcm {:?} is not one frame of {hop}", self.pcm.shape));
        }
        if elements(&self.codes.shape) != Some(codebooks) {
            return Err(format!("codes {:?} are not one frame of {codebooks}", self.codes.shape));
        }
        if self.state.len() > MAX_STATES || self.floats().is_none_or(|floats| floats > MAX_STATE_FLOATS) {
            return Err(format!("state: up to {MAX_STATES} tensors and {MAX_STATE_FLOATS} floats"));
        }
        Ok(())
    }

    /// Floats of all states together.
    pub(super) fn floats(&self) -> Option<usize> {
        self.state.iter().try_fold(0_usize, |sum, state| sum.checked_add(elements(&state.shape)?))
    }
}

/// How many values a tensor of this shape has, if that is a number.
pub(super) fn elements(shape: &[i64]) -> Option<usize> {
    let sizes = shape.iter().map(|&dim| usize::try_from(dim).ok().filter(|dim| *dim > 0));
    if shape.len() > MAX_RANK {
        return None;
    }
    sizes.into_iter().try_fold(1_usize, |product, dim| product.checked_mul(dim?))
}
