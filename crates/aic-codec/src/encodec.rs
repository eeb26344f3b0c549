//! EnCodec from files that a user brings: two streaming ONNX graphs with explicit state, and a manifest.
//!
//! None of them comes with AuraLink (the published weights are not for every use), and no call uses them by itself: a
//! deployment that has the rights names the folder. Nothing in it is trusted: names, shapes, sizes and checksums are
//! checked first, then a test signal goes through, and only a model that keeps its own promises is handed out.

mod manifest;
mod stream;

use std::iter;
use std::path::Path;
use std::sync::Arc;

use ort::value::TensorElementType;

use crate::backend::OnnxSettings;
use crate::backend::runtime::{Pool, expect_ports};
use crate::error::CodecError;
use crate::model::{MANIFEST, MANIFEST_LIMIT, read, verify};
use manifest::{Graph, Manifest, Port, State};
pub use stream::{EncodecDecoder, EncodecEncoder};

/// Bytes a graph may have; EnCodec's own have 30 MB each.
const GRAPH_LIMIT: u64 = 256 << 20;
/// Frames of the self-test.
const TEST_FRAMES: usize = 24;

/// A loaded EnCodec. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Encodec(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    manifest: Manifest,
    fingerprint: [u8; 8],
    encoder: Pool,
    decoder: Pool,
}

impl Encodec {
    /// Loads `manifest.json` and the two graphs it names from a folder, and tests them.
    ///
    /// ```json
    /// {
    ///   "id": "encodec24-6", "kind": "encodec", "format": 1,
    ///   "sample_rate": 24000, "hop": 320, "codebooks": 8, "bits": 10,
    ///   "encoder": {
    ///     "file": "encoder.onnx", "sha256": "…",
    ///     "pcm": { "name": "pcm", "shape": [1, 1, 320] },
    ///     "codes": { "name": "codes", "shape": [8, 1, 1] },
    ///     "state": [ { "input": "conv0", "output": "conv0_out", "shape": [1, 32, 6] } ]
    ///   },
    ///   "decoder": { "file": "decoder.onnx", "sha256": "…", "codes": …, "pcm": …, "state": … }
    /// }
    /// ```
    ///
    /// Samples and state are 32-bit floats, codes 64-bit integers; zeros are the state at the start.
    ///
    /// # Errors
    /// [`CodecError::Model`] naming the file and what is wrong with it, [`CodecError::Unavailable`] without ONNX
    /// Runtime, [`CodecError::Backend`] if a graph fails while it runs.
    pub fn load(folder: &Path, settings: &OnnxSettings) -> Result<Self, CodecError> {
        let manifest = Manifest::parse(&read(folder, MANIFEST, MANIFEST_LIMIT)?)?;
        let open = |graph: &Graph| {
            let bytes = read(folder, &graph.file, GRAPH_LIMIT)?;
            verify(Some(&graph.sha256), &graph.file, &bytes)?;
            Pool::open(&graph.file, &bytes, settings)
        };
        let (encoder, decoder) = (open(&manifest.encoder)?, open(&manifest.decoder)?);
        let Manifest { encoder: e, decoder: d, .. } = &manifest;
        let (float, int) = (TensorElementType::Float32, TensorElementType::Int64);
        encoder.each(|session| {
            expect_ports(&e.file, "input", session.inputs(), e.ports(&e.pcm, float, |state| &state.input))?;
            expect_ports(&e.file, "output", session.outputs(), e.ports(&e.codes, int, |state| &state.output))
        })?;
        decoder.each(|session| {
            expect_ports(&d.file, "input", session.inputs(), d.ports(&d.codes, int, |state| &state.input))?;
            expect_ports(&d.file, "output", session.outputs(), d.ports(&d.pcm, float, |state| &state.output))
        })?;
        let fingerprint = manifest.fingerprint();
        let model = Self(Arc::new(Inner { manifest, fingerprint, encoder, decoder }));
        model.test()?;
        Ok(model)
    }

    /// The name in the manifest.
    pub fn id(&self) -> &str {
        &self.0.manifest.id
    }

    /// Samples per second, one channel.
    pub fn sample_rate(&self) -> u32 {
        self.0.manifest.sample_rate
    }

    /// Samples per frame.
    pub fn hop(&self) -> usize {
        self.0.manifest.hop
    }

    /// Codes per frame.
    pub fn codebooks(&self) -> usize {
        self.0.manifest.codebooks
    }

    /// Bits per code.
    pub fn bits(&self) -> u32 {
        self.0.manifest.bits
    }

    /// Bits per second.
    pub fn bps(&self) -> f64 {
        self.codebooks() as f64 * f64::from(self.bits()) * f64::from(self.sample_rate()) / self.hop() as f64
    }

    /// A stream's encoder, at its start.
    pub fn encoder(&self) -> EncodecEncoder {
        EncodecEncoder::new(self.clone())
    }

    /// A stream's decoder, at its start.
    pub fn decoder(&self) -> EncodecDecoder {
        EncodecDecoder::new(self.clone())
    }

    /// A sweep goes through twice, the second time moving to a new stream halfway: shapes, ranges and finite numbers are
    /// checked by the streams themselves, and both times must agree bit for bit.
    fn test(&self) -> Result<(), CodecError> {
        let pass = |moves: bool| {
            let (mut encoder, mut decoder) = (self.encoder(), self.decoder());
            let (mut codes, mut pcm) = (Vec::new(), Vec::new());
            let mut frame = vec![0.0; self.hop()];
            for n in 0..TEST_FRAMES {
                if moves && n == TEST_FRAMES / 2 {
                    let (e, d) = (encoder.state(), decoder.state());
                    (encoder, decoder) = (self.encoder(), self.decoder());
                    encoder.restore(&e)?;
                    decoder.restore(&d)?;
                }
                sweep(n, self.sample_rate(), &mut frame);
                let coded = encoder.encode(&frame)?;
                decoder.decode(&coded, &mut frame)?;
                codes.extend(coded);
                pcm.extend_from_slice(&frame);
            }
            Ok((codes, pcm))
        };
        let file = &self.0.manifest.encoder.file;
        let broken = |error| match error {
            CodecError::Backend(reason) => CodecError::model(file, format!("self-test: {reason}")),
            other => other,
        };
        let first: (Vec<u16>, Vec<f32>) = pass(false).map_err(broken)?;
        let second = pass(true).map_err(broken)?;
        if first.0 != second.0 {
            return Err(CodecError::model(
                file,
                "self-test: the codes are not a function of samples and state",
            ));
        }
        if first.1 != second.1 {
            let file = &self.0.manifest.decoder.file;
            return Err(CodecError::model(
                file,
                "self-test: the samples are not a function of codes and state",
            ));
        }
        if first.1.iter().all(|sample| *sample == 0.0) {
            return Err(CodecError::model(
                &self.0.manifest.decoder.file,
                "self-test: a sweep comes out as silence",
            ));
        }
        Ok(())
    }
}

/// Frame `n` of a tone that rises from 100 Hz to a quarter of the sample rate, at half level.
fn sweep(n: usize, sample_rate: u32, frame: &mut [f32]) {
    let rate = sample_rate as f32;
    let all = (TEST_FRAMES * frame.len()) as f32;
    let start = n * frame.len();
    for (k, sample) in frame.iter_mut().enumerate() {
        let t = (start + k) as f32;
        // The integral of a frequency that rises linearly.
        let cycles = (100.0 * t + (rate / 4.0 - 100.0) * t * t / (2.0 * all)) / rate;
        *sample = 0.5 * (std::f32::consts::TAU * cycles.fract()).sin();
    }
}

impl Graph {
    /// The ports of one side: `own` and the state's.
    fn ports<'a>(
        &'a self,
        own: &'a Port,
        element: TensorElementType,
        name: fn(&State) -> &str,
    ) -> impl Iterator<Item = (&'a str, TensorElementType, &'a [i64])> {
        let state = self.state.iter();
        let state = state.map(move |state| (name(state), TensorElementType::Float32, state.shape.as_slice()));
        iter::once((own.name.as_str(), element, own.shape.as_slice())).chain(state)
    }
}
