//! A room participant as a library: join, publish, subscribe, data, calls, reconnect.
//!
//! For whatever takes part in a room without being a browser: agents, phones, recorders, tests. Encoded media goes in
//! and comes out; nothing here encodes, decodes or mixes. Speaks LiveKit's protocol, so any server that does will do.
//!
//! ```no_run
//! # async fn example(token: &str, frame: bytes::Bytes) -> Result<(), aura_room::RoomError> {
//! use aura_room::{LocalTrack, PublishOptions, Room, RoomEvent, RoomOptions};
//!
//! let (room, mut events) = Room::connect("ws://localhost:7880", token, RoomOptions::default()).await?;
//! let voice = LocalTrack::opus();
//! room.publish(&voice, PublishOptions::default()).await?;
//! voice.write(frame, std::time::Duration::from_millis(20)).await?;
//! while let Some(event) = events.next().await {
//!     if let RoomEvent::TrackSubscribed { track, .. } = event {
//!         let first = track.next_frame().await;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! With feature `aic` PCM goes in and comes out too: see [`aic`].
//!
//! - `engine`: what to do when; pure, takes `now`.
//! - `frame`: packets to frames; pure.
//! - `session`: the task that owns a room.
//! - `signal`, `transport`, `track`: the WebSocket, peer connections, media.
#![warn(missing_docs)]

#[cfg(feature = "aic")]
pub mod aic;
mod data_track;
mod engine;
mod error;
mod event;
mod frame;
mod options;
mod participant;
mod room;
mod session;
mod signal;
mod task;
mod track;
mod transport;

pub use aic_codec::payload::meta::Meta as AicMeta;
pub use aura_media::{Codec, MediaKind};
pub use livekit_protocol::simulate_scenario::Scenario;

pub use aura_media::data_track::Encryption;
pub use data_track::{DataPublication, LocalDataTrack, RemoteDataTrack};
pub use engine::rpc::RpcError;
pub use error::RoomError;
pub use event::{BytesMessage, EventStream, RoomEvent, TextMessage};
pub use frame::{DataFrame, Frame, RtpPacket};
pub use options::{IceTransport, RoomOptions, SignalMode};
pub use participant::{
    ConnectionQuality, DisconnectReason, Participant, ParticipantKind, ParticipantPermission, Publication,
    RoomInfo, Speaker, TrackSource,
};
pub use room::{Address, Room, RpcInvocation};
pub use track::{LocalTrack, PublishOptions, RemoteTrack, TrackSettings, VideoQuality, Written};
