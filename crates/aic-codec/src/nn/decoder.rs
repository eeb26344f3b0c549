//! The decoder network: a latent vector to samples, half a frame late.

use super::block::Block;
use super::linear::{Linear, Matrix};
use super::math::expand;
use super::{DECODER_FRAMES, DECODER_HOPS, HOP, Shape};
use crate::codec::FRAME;
use crate::error::CodecError;
use crate::model::Weights;
use crate::quantiser::LATENT;

#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) shape: Shape,
    /// What stands for a frame that never came.
    lost: Vec<f32>,
    spread: Linear,
    pub(crate) frames: Vec<Block>,
    unfold: Linear,
    pub(crate) hops: Vec<Block>,
    out: Linear,
    inverse: Matrix,
}

/// Room for one frame's computation.
#[derive(Debug)]
pub(crate) struct Room {
    frame: Vec<f32>,
    hops: Vec<f32>,
    block: Vec<f32>,
    output: [[f32; 2 * HOP]; 2],
    spectra: [[f32; HOP]; 2],
    halves: [[f32; HOP]; 4],
}

impl Decoder {
    pub(crate) fn load(weights: &Weights<'_>, shape: Shape) -> Result<Self, CodecError> {
        let Shape { hop, frame } = shape;
        Ok(Self {
            shape,
            lost: weights.floats("lost", &[LATENT])?,
            spread: Linear::load(weights, "spread", LATENT + 2, frame)?,
            frames: super::load_blocks(weights, "frames", frame, &DECODER_FRAMES)?,
            unfold: Linear::load(weights, "unfold", frame, 2 * hop)?,
            hops: super::load_blocks(weights, "hops", hop, &DECODER_HOPS)?,
            out: Linear::load(weights, "out", hop, 2 * HOP)?,
            inverse: Matrix::transposed(&weights.floats("mdct", &[2 * HOP, HOP])?, HOP, 2 * HOP),
        })
    }

    pub(crate) fn room(&self) -> Room {
        let Shape { hop, frame } = self.shape;
        Room {
            frame: vec![0.0; frame],
            hops: vec![0.0; 2 * hop],
            block: vec![0.0; (6 * hop).max(3 * frame)],
            output: [[0.0; 2 * HOP]; 2],
            spectra: [[0.0; HOP]; 2],
            halves: [[0.0; HOP]; 4],
        }
    }

    /// One frame, of which `share` of the stages arrived. `memory` is the stream's, its blocks as rings, and `count` the
    /// frames it has seen.
    pub(crate) fn run(
        &self,
        latent: &[f32; LATENT],
        share: f32,
        memory: &mut [f32],
        count: usize,
        room: &mut Room,
        out: &mut [f32; FRAME],
    ) {
        let mut past = memory;
        let lost = share == 0.0;
        let mut entry = [0.0; LATENT + 2];
        entry[..LATENT].copy_from_slice(if lost { &self.lost } else { latent });
        entry[LATENT] = share;
        entry[LATENT + 1] = f32::from(u8::from(lost));
        self.spread.apply::<1>(&entry, &mut room.frame);
        for block in &self.frames {
            let ring = past.split_off_mut(..block.memory()).expect("the memory has the model's size");
            block.apply::<1>(&mut room.frame, ring, count, &mut room.block);
        }
        self.unfold.apply::<1>(&room.frame, &mut room.hops);
        for block in &self.hops {
            let ring = past.split_off_mut(..block.memory()).expect("the memory has the model's size");
            block.apply::<2>(&mut room.hops, ring, 2 * count, &mut room.block);
        }
        self.out.apply::<2>(&room.hops, room.output.as_flattened_mut());
        for (output, spectrum) in room.output.iter().zip(&mut room.spectra) {
            expand(output, spectrum);
        }
        self.inverse.apply::<2>(room.spectra.as_flattened(), room.halves.as_flattened_mut());
        // The first half of each block completes the second half of the one before.
        let [late0, early0, late1, early1] = &room.halves;
        let (first, second) = out.split_at_mut(HOP);
        for n in 0..HOP {
            first[n] = past[n] + late0[n];
            second[n] = early0[n] + late1[n];
            past[n] = early1[n];
        }
    }
}
