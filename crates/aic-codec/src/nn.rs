//! The arithmetic of the AIC-16 network, in plain loops that compilers turn into vector instructions.
//!
//! Sums run in one fixed order, nothing is fused, and exponential and logarithm are our own, so every machine gets the
//! same bits. No allocation while running.

pub(crate) mod block;
pub(crate) mod decoder;
pub(crate) mod encoder;
pub(crate) mod linear;
pub(crate) mod math;

use crate::error::CodecError;
use crate::model::Weights;
use block::Block;

/// Samples per hop: half a frame, and the overlap of the transform.
pub(crate) const HOP: usize = 160;
/// Widths are multiples of this.
pub(crate) const LANES: usize = 32;
/// The widest network that is accepted.
pub(crate) const MAX_WIDTH: usize = 1024;
/// Taps of the depthwise convolutions.
const TAPS: usize = 5;

/// Dilations of the blocks, in order.
const ENCODER_HOPS: [usize; 3] = [1, 2, 4];
const ENCODER_FRAMES: [usize; 3] = [1, 2, 4];
const DECODER_FRAMES: [usize; 4] = [1, 2, 4, 1];
const DECODER_HOPS: [usize; 4] = [1, 2, 4, 1];

/// A network's widths, at 100 Hz and at 50 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) hop: usize,
    pub(crate) frame: usize,
}

impl Shape {
    /// Floats an encoder remembers.
    pub(crate) fn encoder_state(self) -> usize {
        HOP + rows(&ENCODER_HOPS) * self.hop + rows(&ENCODER_FRAMES) * self.frame
    }

    /// Floats a decoder remembers.
    pub(crate) fn decoder_state(self) -> usize {
        rows(&DECODER_FRAMES) * self.frame + rows(&DECODER_HOPS) * self.hop + HOP
    }
}

fn rows(dilations: &[usize]) -> usize {
    dilations.iter().map(|dilation| (TAPS - 1) * dilation).sum()
}

fn load_blocks(
    weights: &Weights<'_>,
    name: &str,
    width: usize,
    dilations: &[usize],
) -> Result<Vec<Block>, CodecError> {
    let load = |(index, dilation): (usize, &usize)| {
        Block::load(weights, &format!("{name}.{index}"), width, *dilation)
    };
    dilations.iter().enumerate().map(load).collect()
}
