//! Two participants and a real server.
//!
//! The server is the one at `AURA_ROOM_TEST_URL` when that is set, or one started for this run.

mod aic;
mod data;
mod data_tracks;
mod harness;
mod media;
mod people;
mod reconnect;
