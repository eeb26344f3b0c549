//! The event bus: what SFU nodes and other dashboards tell.
//!
//! Events are hints with an id: each is applied once (`store::events`), a lost one is made up for by
//! reconciliation, which also follows every reconnect.

mod consume;
mod room_watch;

pub(crate) use consume::{CHANNELS, consume};
pub(crate) use room_watch::room_watch;
