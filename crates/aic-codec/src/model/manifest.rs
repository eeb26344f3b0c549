//! A model's manifest: its name, its sizes, and the SHA-256 of every file. Sizes are checked against what the network
//! can be before anything is allocated by them.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::CodecError;
use crate::nn::{self, Shape};

pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const ENCODER: &str = "encoder.onnx";
pub(crate) const DECODER: &str = "decoder.onnx";
pub(crate) const CODEBOOKS: &str = "codebooks.f16";

/// Bytes a manifest may have.
pub(crate) const MANIFEST_LIMIT: u64 = 64 << 10;
/// Bytes a model file may have; the largest of ours has 7 MB.
pub(crate) const FILE_LIMIT: u64 = 64 << 20;
const FORMAT: u32 = 1;

/// `manifest.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    /// What two sides of a call compare, like `aic16m-1`.
    pub(crate) id: String,
    format: u32,
    hop_width: usize,
    frame_width: usize,
    encoder_state: usize,
    decoder_state: usize,
    files: BTreeMap<String, String>,
}

impl Manifest {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, CodecError> {
        let refuse = |reason: String| CodecError::model(MANIFEST, reason);
        if bytes.len() as u64 > MANIFEST_LIMIT {
            return Err(refuse("too large".into()));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(refuse(format!("format {} is not known", manifest.format)));
        }
        let token = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if manifest.id.is_empty() || manifest.id.len() > 32 || !manifest.id.chars().all(token) {
            return Err(refuse("the id is not 1 to 32 letters, digits and hyphens".into()));
        }
        let shape = manifest.shape();
        for width in [shape.hop, shape.frame] {
            if width == 0 || width > nn::MAX_WIDTH || !width.is_multiple_of(nn::LANES) {
                return Err(refuse(format!("width {width}")));
            }
        }
        if (manifest.encoder_state, manifest.decoder_state) != (shape.encoder_state(), shape.decoder_state())
        {
            return Err(refuse("the state sizes do not follow from the widths".into()));
        }
        Ok(manifest)
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape { hop: self.hop_width, frame: self.frame_width }
    }

    /// Refuses a file that is not the one named here.
    pub(crate) fn verify(&self, file: &str, bytes: &[u8]) -> Result<(), CodecError> {
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(CodecError::model(file, "too large"));
        }
        verify(self.files.get(file).map(String::as_str), file, bytes)
    }

    /// Tells models with other weights apart, also of one name.
    pub(crate) fn fingerprint(&self) -> [u8; 8] {
        let mut hash = Sha256::new();
        hash.update(&self.id);
        for file in [ENCODER, DECODER, CODEBOOKS] {
            hash.update(self.files.get(file).map_or("", String::as_str).to_ascii_lowercase());
        }
        *hash.finalize().first_chunk().expect("a SHA-256 has 32 bytes")
    }
}

/// Refuses `bytes` unless `expected` is their SHA-256 in hexadecimal.
pub(crate) fn verify(expected: Option<&str>, file: &str, bytes: &[u8]) -> Result<(), CodecError> {
    let expected = expected.ok_or_else(|| CodecError::model(file, "not named in the manifest"))?;
    let mut actual = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        use std::fmt::Write as _;
        write!(actual, "{byte:02x}").expect("a string takes any text");
    }
    if actual.eq_ignore_ascii_case(expected) {
        Ok(())
    } else {
        Err(CodecError::model(file, "its SHA-256 is not the manifest's"))
    }
}
