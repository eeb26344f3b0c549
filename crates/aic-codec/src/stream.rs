//! A call's two ends: samples to packets with all decisions made, and packets back to samples whatever was lost.
//!
//! [`FrameSender`] and [`FrameReceiver`] speak AIC at 16 kHz and run anywhere, browsers included. [`Sender`] and
//! [`Receiver`] wrap them at 48 kHz and add Opus, to and from which they change without a gap: for one period of 20 ms
//! both codecs are sent, for ten on the way back, the paths are equally late, and the receiver cross-fades. No clock, no thread, no socket.

mod comfort;
mod frame_receiver;
mod frame_sender;
mod packer;
mod playout;
#[cfg(feature = "opus")]
mod receiver;
#[cfg(feature = "opus")]
mod sender;
mod voice;

use bytes::Bytes;

pub use crate::control::Settings;
pub use frame_receiver::FrameReceiver;
pub use frame_sender::{FrameSender, State};
pub use packer::AicPacket;
#[cfg(feature = "opus")]
pub use receiver::{PacketError, Receiver, ReceiverStats};
#[cfg(feature = "opus")]
pub use sender::{Packet, Sender, SenderStats};

/// An Opus packet that was sent before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Earlier {
    /// At 48 kHz, from its beginning to that of the packet that repeats it.
    pub ticks_back: u16,
    /// The payload.
    pub payload: Bytes,
}

/// Frames sent in both codecs when AIC returns: its decoder remembers more of the past than Opus's, and is unheard until
/// it has caught up.
#[cfg(feature = "opus")]
const WARM: u8 = 10;

/// What a packet is coded with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Codec {
    /// AIC.
    Aic,
    /// Opus.
    Opus,
}

/// Where a frame's samples came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Played {
    /// Nothing has arrived yet, or the buffer fills: silence.
    Waiting,
    /// A packet.
    Coded,
    /// The copy in a later packet.
    Redundant,
    /// Invention, fading into background noise.
    Concealed,
    /// The sender was silent: background noise.
    Silent,
}

/// What a receiver reports to the sender.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Feedback {
    /// Share of packets lost, 0–1.
    pub loss: f32,
    /// Mean length of the gaps in packets, 1 if unknown.
    pub mean_burst: f32,
    /// What the link carries, headers included; none if unknown or plenty.
    pub available_bps: Option<u32>,
}

#[cfg(test)]
mod tests;
