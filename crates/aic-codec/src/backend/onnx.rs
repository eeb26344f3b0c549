//! The network on ONNX Runtime. A stream's memory is the graph's `state` tensor and travels with every frame.

use std::sync::Arc;

use ort::session::Session;
use ort::value::{TensorElementType, TensorRef};

use super::runtime::{OnnxSettings, Pool, expect_ports, failed};
use super::{Analysis, Backend, Memory, Network, Synthesis};
use crate::codec::FRAME;
use crate::error::CodecError;
use crate::model::{DECODER, ENCODER, Files};
use crate::nn::Shape;
use crate::quantiser::LATENT;

/// Frames a session runs before streams come: the first ones allocate.
const WARM_UP: usize = 50;

#[derive(Debug)]
struct Onnx {
    encoder: Pool,
    decoder: Pool,
    shape: Shape,
}

/// Opens the pools, checks the graphs' ports and warms every session up.
pub(crate) fn open(
    shape: Shape,
    files: Files<'_>,
    settings: &OnnxSettings,
) -> Result<Arc<dyn Network>, CodecError> {
    let encoder = Pool::open(ENCODER, files.encoder, settings)?;
    let decoder = Pool::open(DECODER, files.decoder, settings)?;
    let f32s = TensorElementType::Float32;
    let (frame, latent, one): (&[i64], &[i64], &[i64]) = (&[1, FRAME as i64], &[1, LATENT as i64], &[1, 1]);
    let state = [1, shape.encoder_state() as i64];
    let mut memory = Graph::new(shape.encoder_state());
    encoder.each(|session| {
        expect_ports(ENCODER, "input", session.inputs(), [("pcm", f32s, frame), ("state", f32s, &state)])?;
        let outputs = [("latent", f32s, latent), ("state_out", f32s, state.as_slice())];
        expect_ports(ENCODER, "output", session.outputs(), outputs)?;
        (0..WARM_UP).try_for_each(|_| encode(session, &mut memory, &[0.0; FRAME], &mut [0.0; LATENT]))
    })?;
    let state = [1, shape.decoder_state() as i64];
    let mut memory = Graph::new(shape.decoder_state());
    decoder.each(|session| {
        let inputs = [("latent", f32s, latent), ("share", f32s, one), ("state", f32s, state.as_slice())];
        expect_ports(DECODER, "input", session.inputs(), inputs)?;
        let outputs = [("pcm", f32s, frame), ("state_out", f32s, state.as_slice())];
        expect_ports(DECODER, "output", session.outputs(), outputs)?;
        (0..WARM_UP).try_for_each(|_| decode(session, &mut memory, &[0.0; LATENT], 1.0, &mut [0.0; FRAME]))
    })?;
    Ok(Arc::new(Onnx { encoder, decoder, shape }))
}

impl Network for Onnx {
    fn encoder(self: Arc<Self>) -> Box<dyn Analysis> {
        let memory = Graph::new(self.shape.encoder_state());
        Box::new(Stream { network: self, memory })
    }

    fn decoder(self: Arc<Self>) -> Box<dyn Synthesis> {
        let memory = Graph::new(self.shape.decoder_state());
        Box::new(Stream { network: self, memory })
    }

    fn backend(&self) -> Backend {
        Backend::Onnx
    }
}

/// The `state` tensor.
#[derive(Debug)]
struct Graph {
    state: Vec<f32>,
}

impl Graph {
    fn new(len: usize) -> Self {
        Self { state: vec![0.0; len] }
    }
}

#[derive(Debug)]
struct Stream {
    network: Arc<Onnx>,
    memory: Graph,
}

impl Memory for Stream {
    fn len(&self) -> usize {
        self.memory.state.len()
    }

    fn reset(&mut self) {
        self.memory.state.fill(0.0);
    }

    fn export(&self, out: &mut Vec<f32>) {
        out.extend_from_slice(&self.memory.state);
    }

    fn import(&mut self, floats: &[f32]) {
        self.memory.state.copy_from_slice(floats);
    }
}

impl Analysis for Stream {
    fn latent(&mut self, pcm: &[f32; FRAME], out: &mut [f32; LATENT]) -> Result<(), CodecError> {
        encode(&mut self.network.encoder.borrow(), &mut self.memory, pcm, out)
    }
}

impl Synthesis for Stream {
    fn pcm(&mut self, latent: &[f32; LATENT], share: f32, out: &mut [f32; FRAME]) -> Result<(), CodecError> {
        decode(&mut self.network.decoder.borrow(), &mut self.memory, latent, share, out)
    }
}

fn encode(
    session: &mut Session,
    memory: &mut Graph,
    pcm: &[f32; FRAME],
    out: &mut [f32; LATENT],
) -> Result<(), CodecError> {
    let inputs = ort::inputs![
        "pcm" => row(pcm)?,
        "state" => row(&memory.state)?,
    ];
    let outputs = session.run(inputs).map_err(failed)?;
    copy(&outputs, "latent", out)?;
    copy(&outputs, "state_out", &mut memory.state)
}

fn decode(
    session: &mut Session,
    memory: &mut Graph,
    latent: &[f32; LATENT],
    share: f32,
    out: &mut [f32; FRAME],
) -> Result<(), CodecError> {
    let share = [share];
    let inputs = ort::inputs![
        "latent" => row(latent)?,
        "share" => row(&share)?,
        "state" => row(&memory.state)?,
    ];
    let outputs = session.run(inputs).map_err(failed)?;
    copy(&outputs, "pcm", out)?;
    copy(&outputs, "state_out", &mut memory.state)
}

fn row(values: &[f32]) -> Result<TensorRef<'_, f32>, CodecError> {
    TensorRef::from_array_view(([1, values.len()], values)).map_err(failed)
}

/// Copies an output, unless it has another length or numbers that are none; then `out` stays as it was.
fn copy(outputs: &ort::session::SessionOutputs<'_>, name: &str, out: &mut [f32]) -> Result<(), CodecError> {
    let output = outputs.get(name).ok_or_else(|| CodecError::Backend(format!("no output {name}")))?;
    let (_, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
    if values.len() != out.len() || !values.iter().all(|value| value.is_finite()) {
        return Err(CodecError::Backend(format!("output {name} is not {} finite numbers", out.len())));
    }
    out.copy_from_slice(values);
    Ok(())
}
