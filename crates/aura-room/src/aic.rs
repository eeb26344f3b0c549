//! Speech as PCM: AIC with Opus behind it, on one track.
//!
//! [`AicTrack`] publishes: AIC while the model agrees, the server wants it and it is good enough, Opus from the very next
//! packet when not, and back. [`AicPlayer`] receives either. Both work on 20 ms of 48 kHz mono; joining with
//! [`RoomOptions::aic_model`](crate::RoomOptions::aic_model) set is what makes AIC possible at all.
//!
//! ```no_run
//! # async fn example(token: &str, model: &aic_codec::Model) -> Result<(), Box<dyn std::error::Error>> {
//! use aura_room::aic::{AicPlayer, AicTrack, Settings};
//! use aura_room::{PublishOptions, Room, RoomEvent, RoomOptions};
//!
//! let options = RoomOptions { aic_model: Some(model.id().to_owned()), ..RoomOptions::default() };
//! let (room, mut events) = Room::connect("ws://localhost:7880", token, options).await?;
//! let voice = AicTrack::new(model, Settings::default())?;
//! room.publish(voice.track(), PublishOptions::default()).await?;
//! voice.write(&[0.0; 960]).await?; // every 20 ms
//! while let Some(event) = events.next().await {
//!     if let RoomEvent::TrackSubscribed { track, .. } = event {
//!         let mut player = AicPlayer::new(track, model, 60)?;
//!         let first = player.next_pcm().await; // paced: one every 20 ms
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod player;
mod speaker;

pub use aic_codec::control::{Mode, Reason};
pub use aic_codec::stream::{Played, Settings, State};
pub use player::{AicPlayer, PlayerStats};
pub use speaker::{AicTrack, SpeakerStats};

/// Samples of 20 ms at 48 kHz, mono.
pub const SAMPLES: usize = 960;
