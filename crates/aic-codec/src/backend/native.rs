//! The network in plain Rust, for machines without ONNX Runtime and for WebAssembly. Deterministic to the bit.

use std::sync::Arc;

use super::{Analysis, Backend, Memory, Network, Synthesis};
use crate::codec::FRAME;
use crate::error::CodecError;
use crate::model::{DECODER, ENCODER, Files, Weights};
use crate::nn::block::Block;
use crate::nn::{HOP, Shape, decoder, encoder};
use crate::quantiser::LATENT;

/// Every ring's length divides this, so a count of frames may wrap here.
const TURN: usize = 16;

#[derive(Debug)]
struct Native {
    encoder: encoder::Encoder,
    decoder: decoder::Decoder,
}

/// Reads the weights out of the model's files.
pub(crate) fn open(shape: Shape, files: Files<'_>) -> Result<Arc<dyn Network>, CodecError> {
    let encoder = encoder::Encoder::load(&Weights::parse(ENCODER, files.encoder)?, shape)?;
    let decoder = decoder::Decoder::load(&Weights::parse(DECODER, files.decoder)?, shape)?;
    Ok(Arc::new(Native { encoder, decoder }))
}

impl Network for Native {
    fn encoder(self: Arc<Self>) -> Box<dyn Analysis> {
        let memory = Rings::new(self.encoder.shape.encoder_state());
        Box::new(EncoderStream { room: self.encoder.room(), network: self, memory })
    }

    fn decoder(self: Arc<Self>) -> Box<dyn Synthesis> {
        let memory = Rings::new(self.decoder.shape.decoder_state());
        Box::new(DecoderStream { room: self.decoder.room(), network: self, memory })
    }

    fn backend(&self) -> Backend {
        Backend::Native
    }
}

/// A stream's memory, the blocks' rows in rings.
#[derive(Debug)]
struct Rings {
    floats: Vec<f32>,
    /// Frames so far, modulo `TURN`.
    count: usize,
}

/// One ring: where it starts, its rows, its width, and rows taken per frame.
type Ring = (usize, usize, usize, usize);

impl Rings {
    fn new(len: usize) -> Self {
        Self { floats: vec![0.0; len], count: 0 }
    }

    fn reset(&mut self) {
        self.floats.fill(0.0);
        self.count = 0;
    }

    /// With each ring turned so that its oldest row comes first.
    fn export(&self, rings: impl Iterator<Item = Ring>, out: &mut Vec<f32>) {
        let start = out.len();
        out.extend_from_slice(&self.floats);
        for (at, rows, width, per_frame) in rings {
            let ring = &mut out[start + at..][..rows * width];
            ring.rotate_left(self.count * per_frame % rows * width);
        }
    }

    fn import(&mut self, floats: &[f32]) {
        self.floats.copy_from_slice(floats);
        self.count = 0;
    }

    fn advance(&mut self) {
        self.count = (self.count + 1) % TURN;
    }
}

/// Rings of `blocks`, one after the other from `at`.
fn rings(blocks: &[Block], at: usize, width: usize, per_frame: usize) -> impl Iterator<Item = Ring> {
    blocks.iter().scan(at, move |at, block| {
        let ring = (*at, block.rows(), width, per_frame);
        *at += block.memory();
        Some(ring)
    })
}

fn floats(blocks: &[Block]) -> usize {
    blocks.iter().map(Block::memory).sum()
}

#[derive(Debug)]
struct EncoderStream {
    network: Arc<Native>,
    memory: Rings,
    room: encoder::Room,
}

impl Memory for EncoderStream {
    fn len(&self) -> usize {
        self.memory.floats.len()
    }

    fn reset(&mut self) {
        self.memory.reset();
    }

    fn export(&self, out: &mut Vec<f32>) {
        let encoder::Encoder { hops, frames, shape, .. } = &self.network.encoder;
        let slow = rings(frames, HOP + floats(hops), shape.frame, 1);
        self.memory.export(rings(hops, HOP, shape.hop, 2).chain(slow), out);
    }

    fn import(&mut self, floats: &[f32]) {
        self.memory.import(floats);
    }
}

impl Analysis for EncoderStream {
    fn latent(&mut self, pcm: &[f32; FRAME], out: &mut [f32; LATENT]) -> Result<(), CodecError> {
        let Self { network, memory, room } = self;
        network.encoder.run(pcm, &mut memory.floats, memory.count, room, out);
        memory.advance();
        Ok(())
    }
}

#[derive(Debug)]
struct DecoderStream {
    network: Arc<Native>,
    memory: Rings,
    room: decoder::Room,
}

impl Memory for DecoderStream {
    fn len(&self) -> usize {
        self.memory.floats.len()
    }

    fn reset(&mut self) {
        self.memory.reset();
    }

    fn export(&self, out: &mut Vec<f32>) {
        let decoder::Decoder { hops, frames, shape, .. } = &self.network.decoder;
        let fast = rings(hops, floats(frames), shape.hop, 2);
        self.memory.export(rings(frames, 0, shape.frame, 1).chain(fast), out);
    }

    fn import(&mut self, floats: &[f32]) {
        self.memory.import(floats);
    }
}

impl Synthesis for DecoderStream {
    fn pcm(&mut self, latent: &[f32; LATENT], share: f32, out: &mut [f32; FRAME]) -> Result<(), CodecError> {
        let Self { network, memory, room } = self;
        network.decoder.run(latent, share, &mut memory.floats, memory.count, room, out);
        memory.advance();
        Ok(())
    }
}
