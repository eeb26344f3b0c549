//! Pure media arithmetic shared by everything that touches RTP.
//!
//! Nothing here reads a clock, allocates per packet or knows a socket: functions take bytes and numbers and return
//! numbers. A malformed input yields `None`, never a panic.
#![warn(missing_docs)]

pub mod codec;
pub mod data_track;
pub mod keyframe;
pub mod layer;
pub mod level;
pub mod loss;
pub mod red;
pub mod rewrite;
pub mod timeline;

pub use codec::{Codec, MediaKind};
