//! The encoder network: samples to a latent vector.

use super::block::Block;
use super::linear::{Linear, Matrix};
use super::math::compand;
use super::{ENCODER_FRAMES, ENCODER_HOPS, HOP, Shape};
use crate::codec::FRAME;
use crate::error::CodecError;
use crate::model::Weights;
use crate::quantiser::LATENT;

#[derive(Debug)]
pub(crate) struct Encoder {
    pub(crate) shape: Shape,
    mdct: Matrix,
    spread: Linear,
    pub(crate) hops: Vec<Block>,
    fold: Linear,
    pub(crate) frames: Vec<Block>,
    out: Linear,
}

/// Room for one frame's computation.
#[derive(Debug)]
pub(crate) struct Room {
    spectrum: [f32; 2 * HOP],
    features: [[f32; 2 * HOP]; 2],
    hops: Vec<f32>,
    frame: Vec<f32>,
    block: Vec<f32>,
}

impl Encoder {
    pub(crate) fn load(weights: &Weights<'_>, shape: Shape) -> Result<Self, CodecError> {
        let Shape { hop, frame } = shape;
        Ok(Self {
            shape,
            mdct: Matrix::new(&weights.floats("mdct", &[2 * HOP, HOP])?, 2 * HOP, HOP),
            spread: Linear::load(weights, "spread", 2 * HOP, hop)?,
            hops: super::load_blocks(weights, "hops", hop, &ENCODER_HOPS)?,
            fold: Linear::load(weights, "fold", 2 * hop, frame)?,
            frames: super::load_blocks(weights, "frames", frame, &ENCODER_FRAMES)?,
            out: Linear::load(weights, "out", frame, LATENT)?,
        })
    }

    pub(crate) fn room(&self) -> Room {
        let Shape { hop, frame } = self.shape;
        Room {
            spectrum: [0.0; 2 * HOP],
            features: [[0.0; 2 * HOP]; 2],
            hops: vec![0.0; 2 * hop],
            frame: vec![0.0; frame],
            block: vec![0.0; (6 * hop).max(3 * frame)],
        }
    }

    /// One frame. `memory` is the stream's, its blocks as rings, and `count` the frames it has seen.
    pub(crate) fn run(
        &self,
        pcm: &[f32; FRAME],
        memory: &mut [f32],
        count: usize,
        room: &mut Room,
        out: &mut [f32; LATENT],
    ) {
        let (before, mut past) = memory.split_at_mut(HOP);
        // Two blocks of 320 samples, half overlapping.
        let mut blocks = [[0.0; 2 * HOP]; 2];
        blocks[0][..HOP].copy_from_slice(before);
        blocks[0][HOP..].copy_from_slice(&pcm[..HOP]);
        blocks[1].copy_from_slice(pcm);
        before.copy_from_slice(&pcm[HOP..]);
        self.mdct.apply::<2>(blocks.as_flattened(), &mut room.spectrum);
        let (spectra, _) = room.spectrum.as_chunks::<HOP>();
        for (spectrum, features) in spectra.iter().zip(&mut room.features) {
            compand(spectrum, features);
        }
        self.spread.apply::<2>(room.features.as_flattened(), &mut room.hops);
        for block in &self.hops {
            let ring = past.split_off_mut(..block.memory()).expect("the memory has the model's size");
            block.apply::<2>(&mut room.hops, ring, 2 * count, &mut room.block);
        }
        self.fold.apply::<1>(&room.hops, &mut room.frame);
        for block in &self.frames {
            let ring = past.split_off_mut(..block.memory()).expect("the memory has the model's size");
            block.apply::<1>(&mut room.frame, ring, count, &mut room.block);
        }
        self.out.apply::<1>(&room.frame, out);
    }
}
