//! What runs the network: the built-in arithmetic, or ONNX Runtime. Both keep a stream's memory in the same order, so a
//! stream may move from one to the other.

pub(crate) mod native;
#[cfg(feature = "onnx")]
pub(crate) mod onnx;
#[cfg(feature = "onnx")]
pub(crate) mod runtime;

use std::fmt::Debug;
use std::sync::Arc;

use crate::codec::FRAME;
use crate::error::CodecError;
use crate::quantiser::LATENT;
#[cfg(feature = "onnx")]
pub use runtime::{Device, OnnxSettings};

/// What shall run the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Backend {
    /// ONNX Runtime if `AIC_ONNXRUNTIME` or `ORT_DYLIB_PATH` names its library, otherwise the built-in arithmetic.
    #[default]
    Auto,
    /// The built-in arithmetic: the same bits on every machine.
    Native,
    /// ONNX Runtime (feature `onnx`), or an error.
    Onnx,
}

/// A model's network, shared by its streams.
pub(crate) trait Network: Debug + Send + Sync {
    fn encoder(self: Arc<Self>) -> Box<dyn Analysis>;
    fn decoder(self: Arc<Self>) -> Box<dyn Synthesis>;
    fn backend(&self) -> Backend;
}

/// What one side of a stream remembers: a flat list of floats in the order of the model's `state` tensor.
pub(crate) trait Memory {
    fn len(&self) -> usize;
    fn reset(&mut self);
    fn export(&self, out: &mut Vec<f32>);
    /// `floats` has [`Memory::len`] values.
    fn import(&mut self, floats: &[f32]);
}

/// One stream's encoder network.
pub(crate) trait Analysis: Memory + Debug + Send + Sync {
    /// Fails without having changed the memory.
    fn latent(&mut self, pcm: &[f32; FRAME], out: &mut [f32; LATENT]) -> Result<(), CodecError>;
}

/// One stream's decoder network.
pub(crate) trait Synthesis: Memory + Debug + Send + Sync {
    /// `share` of the stages arrived; 0 is a lost frame, and `latent` then zeros. Fails without having changed the
    /// memory.
    fn pcm(&mut self, latent: &[f32; LATENT], share: f32, out: &mut [f32; FRAME]) -> Result<(), CodecError>;
}
