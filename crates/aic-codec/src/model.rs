//! A model: manifest, two networks, codebooks. Loaded once, checked against its manifest, shared by all streams.
//!
//! The built-in one is compiled in with feature `bundled`. Files from elsewhere are not trusted: sizes are bounded and
//! hostile bytes are an error.

#[cfg(feature = "bundled")]
mod bundled;
#[cfg(feature = "onnx")]
pub(crate) mod graph;
mod manifest;
mod weights;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::backend::{Backend, Network, native};
#[cfg(feature = "onnx")]
use crate::backend::{OnnxSettings, onnx};
use crate::codec::{Decoder, Encoder};
use crate::error::CodecError;
use crate::nn::Shape;
use crate::quantiser::Quantiser;
#[cfg(feature = "onnx")]
pub(crate) use manifest::verify;
pub(crate) use manifest::{CODEBOOKS, DECODER, ENCODER, FILE_LIMIT, MANIFEST, MANIFEST_LIMIT, Manifest};
pub(crate) use weights::Weights;

/// A loaded model. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Model(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    fingerprint: [u8; 8],
    network: Arc<dyn Network>,
    quantiser: Quantiser,
}

/// A model's four files.
#[derive(Clone, Copy)]
pub(crate) struct Files<'a> {
    pub(crate) manifest: &'a [u8],
    pub(crate) encoder: &'a [u8],
    pub(crate) decoder: &'a [u8],
    pub(crate) codebooks: &'a [u8],
}

impl Model {
    /// The model that is compiled in.
    ///
    /// # Errors
    /// [`CodecError::Unavailable`] without feature `bundled`.
    pub fn bundled() -> Result<Self, CodecError> {
        Self::bundled_on(Backend::Auto)
    }

    /// [`Model::bundled`] on a backend of choice.
    ///
    /// # Errors
    /// [`CodecError::Unavailable`] without feature `bundled` or without the wished backend.
    pub fn bundled_on(backend: Backend) -> Result<Self, CodecError> {
        #[cfg(feature = "bundled")]
        return Self::open(bundled::FILES, backend);
        #[cfg(not(feature = "bundled"))]
        return Err(CodecError::Unavailable(format!("{backend:?}: this build has no model inside")));
    }

    /// Loads `manifest.json` and the files it names from a folder.
    ///
    /// # Errors
    /// [`CodecError::Model`] naming the file that is missing, damaged or too large, [`CodecError::Unavailable`] without
    /// the wished backend.
    pub fn load(folder: &Path, backend: Backend) -> Result<Self, CodecError> {
        let manifest = read(folder, MANIFEST, MANIFEST_LIMIT)?;
        let encoder = read(folder, ENCODER, FILE_LIMIT)?;
        let decoder = read(folder, DECODER, FILE_LIMIT)?;
        let codebooks = read(folder, CODEBOOKS, FILE_LIMIT)?;
        Self::from_bytes(&manifest, &encoder, &decoder, &codebooks, backend)
    }

    /// From the contents of the four files.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn from_bytes(
        manifest: &[u8],
        encoder: &[u8],
        decoder: &[u8],
        codebooks: &[u8],
        backend: Backend,
    ) -> Result<Self, CodecError> {
        Self::open(Files { manifest, encoder, decoder, codebooks }, backend)
    }

    /// From a folder, on ONNX Runtime as `settings` say.
    ///
    /// # Errors
    /// As [`Model::load`]; [`CodecError::Unavailable`] if the library or the device is not there.
    #[cfg(feature = "onnx")]
    pub fn load_onnx(folder: &Path, settings: &OnnxSettings) -> Result<Self, CodecError> {
        let manifest = read(folder, MANIFEST, MANIFEST_LIMIT)?;
        let encoder = read(folder, ENCODER, FILE_LIMIT)?;
        let decoder = read(folder, DECODER, FILE_LIMIT)?;
        let codebooks = read(folder, CODEBOOKS, FILE_LIMIT)?;
        let files =
            Files { manifest: &manifest, encoder: &encoder, decoder: &decoder, codebooks: &codebooks };
        Self::build(files, |shape, files| onnx::open(shape, files, settings))
    }

    /// The model that is compiled in, on ONNX Runtime as `settings` say.
    ///
    /// # Errors
    /// [`CodecError::Unavailable`] without feature `bundled`, the library or the device.
    #[cfg(all(feature = "onnx", feature = "bundled"))]
    pub fn bundled_onnx(settings: &OnnxSettings) -> Result<Self, CodecError> {
        Self::build(bundled::FILES, |shape, files| onnx::open(shape, files, settings))
    }

    fn open(files: Files<'_>, backend: Backend) -> Result<Self, CodecError> {
        Self::build(files, |shape, files| network(shape, files, backend))
    }

    fn build<F>(files: Files<'_>, network: F) -> Result<Self, CodecError>
    where
        F: FnOnce(Shape, Files<'_>) -> Result<Arc<dyn Network>, CodecError>,
    {
        let manifest = Manifest::parse(files.manifest)?;
        manifest.verify(ENCODER, files.encoder)?;
        manifest.verify(DECODER, files.decoder)?;
        manifest.verify(CODEBOOKS, files.codebooks)?;
        let quantiser =
            Quantiser::new(files.codebooks).map_err(|reason| CodecError::model(CODEBOOKS, reason))?;
        let network = network(manifest.shape(), files)?;
        let fingerprint = manifest.fingerprint();
        Ok(Self(Arc::new(Inner { id: manifest.id, fingerprint, network, quantiser })))
    }

    /// The name both sides of a call compare, like `aic16m-1`.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// What runs it: [`Backend::Native`] or [`Backend::Onnx`].
    pub fn backend(&self) -> Backend {
        self.0.network.backend()
    }

    /// [`Model::backend`] as a label: `native` or `onnx`.
    pub fn backend_name(&self) -> &'static str {
        match self.backend() {
            Backend::Onnx => "onnx",
            Backend::Native | Backend::Auto => "native",
        }
    }

    /// Tells models with other weights apart, also of one name.
    pub fn fingerprint(&self) -> [u8; 8] {
        self.0.fingerprint
    }

    /// A stream's encoder, at its start.
    pub fn encoder(&self) -> Encoder {
        Encoder::new(self.clone(), Arc::clone(&self.0.network).encoder())
    }

    /// A stream's decoder, at its start.
    pub fn decoder(&self) -> Decoder {
        Decoder::new(self.clone(), Arc::clone(&self.0.network).decoder())
    }

    pub(crate) fn quantiser(&self) -> &Quantiser {
        &self.0.quantiser
    }
}

fn network(shape: Shape, files: Files<'_>, backend: Backend) -> Result<Arc<dyn Network>, CodecError> {
    match backend {
        Backend::Native => native::open(shape, files),
        #[cfg(feature = "onnx")]
        Backend::Auto | Backend::Onnx => {
            let settings = OnnxSettings::from_env()?;
            if backend == Backend::Auto && settings.library.is_none() {
                return native::open(shape, files);
            }
            match onnx::open(shape, files, &settings) {
                Err(CodecError::Unavailable(reason)) if backend == Backend::Auto => {
                    tracing::warn!(%reason, "the built-in arithmetic runs the codec");
                    native::open(shape, files)
                }
                result => result,
            }
        }
        #[cfg(not(feature = "onnx"))]
        Backend::Auto => native::open(shape, files),
        #[cfg(not(feature = "onnx"))]
        Backend::Onnx => Err(CodecError::Unavailable("this build has no ONNX Runtime".into())),
    }
}

/// Reads a file, unless it is too large.
pub(crate) fn read(folder: &Path, name: &str, limit: u64) -> Result<Vec<u8>, CodecError> {
    let refuse = |error: std::io::Error| CodecError::model(name, error.to_string());
    let file = File::open(folder.join(name)).map_err(refuse)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(refuse)?;
    if bytes.len() as u64 > limit {
        return Err(CodecError::model(name, "too large"));
    }
    Ok(bytes)
}
