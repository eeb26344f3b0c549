//! The model that is compiled in, 9 MB of this binary.

use super::Files;

pub(super) const FILES: Files<'static> = Files {
    manifest: include_bytes!("../../models/aic16m-1/manifest.json"),
    encoder: include_bytes!("../../models/aic16m-1/encoder.onnx"),
    decoder: include_bytes!("../../models/aic16m-1/decoder.onnx"),
    codebooks: include_bytes!("../../models/aic16m-1/codebooks.f16"),
};
