//! Tracks: encoded frames in, encoded frames out. Nothing here encodes or decodes.

mod local;
mod remote;

#[cfg(feature = "aic")]
pub(crate) use local::{AicPermission, Coded};
pub(crate) use local::{AicTerms, Link, LinkTrack, OPUS, redundancy, rtc_codec};
pub use local::{LocalTrack, PublishOptions, Written};
pub(crate) use remote::Formats;
pub use remote::{RemoteTrack, TrackSettings, VideoQuality};
