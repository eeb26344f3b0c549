//! `/ws`: pushes to people who are looking.
//!
//! The first message authenticates; after that the server pushes and answers pings. Queues are bounded: a reader
//! that does not keep up is disconnected and reads again when it returns.

mod hub;
mod socket;

pub(crate) use hub::{Hub, Push};
pub(crate) use socket::upgrade;
