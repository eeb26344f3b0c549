//! From packets to frames: reordering, loss, and putting a picture together.
//!
//! Pure: packets and `now` in, frames out. Frames leave in order; a hole is waited for briefly, then given up.

mod assemble;
mod data;
mod jitter;

pub(crate) use assemble::{Assembler, Output};
pub use data::DataFrame;
pub(crate) use data::{DataAssembler, DataPacketizer, MAX_FRAME_BYTES};

use bytes::Bytes;

/// An encoded frame as its publisher made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// An Opus packet, a VP8 frame, or an H.264 access unit with start codes.
    pub data: Bytes,
    /// RTP timestamp, in units of the codec's clock rate.
    pub rtp_timestamp: u32,
    /// Whether decoding can start here. Audio always.
    pub keyframe: bool,
    /// Whether something before this frame was lost.
    pub discontinuity: bool,
}

/// What matters of a received RTP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpPacket {
    /// Sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Last packet of a frame (video), start of a talk spurt (audio).
    pub marker: bool,
    /// Payload type as negotiated.
    pub payload_type: u8,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Payload with its codec's descriptor.
    pub payload: Bytes,
}
