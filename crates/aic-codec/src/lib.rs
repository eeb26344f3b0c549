//! AIC, AuraLink's neural speech codec: 16 kHz mono, 20 ms frames, 1.5, 3 and 6 kbit/s.
#![warn(missing_docs)]

mod backend;
mod codec;
pub mod control;
#[cfg(feature = "onnx")]
mod encodec;
mod error;
mod model;
mod nn;
#[cfg(feature = "opus")]
pub mod opus;
pub mod payload;
pub mod quality;
mod quantiser;
#[cfg(feature = "resample")]
pub mod resample;
mod spectrum;
pub mod stream;
#[cfg(test)]
mod testing;

pub use backend::Backend;
#[cfg(feature = "onnx")]
pub use backend::{Device, OnnxSettings};
pub use codec::{Arrived, BITS, Codes, Decoder, Encoder, FRAME, Rate, SAMPLE_RATE, STAGES};
#[cfg(feature = "onnx")]
pub use encodec::{Encodec, EncodecDecoder, EncodecEncoder};
pub use error::{CodecError, StateError};
pub use model::Model;
pub use quantiser::{LATENT, MAX_BEAMS};

#[cfg(feature = "server")]
pub mod server;
