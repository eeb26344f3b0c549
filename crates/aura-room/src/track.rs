//! Tracks: encoded frames in, encoded frames out. Nothing here encodes or decodes.

mod local;
mod remote;

pub(crate) use local::{Link, LinkTrack, rtc_codec};
pub use local::{LocalTrack, PublishOptions, Written};
pub use remote::{RemoteTrack, TrackSettings, VideoQuality};
