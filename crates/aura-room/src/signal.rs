//! The signalling connection: a WebSocket with one protobuf message per binary frame.

mod address;
mod socket;
mod tls;

pub(crate) use address::{Dial, Resume};
pub(crate) use socket::{First, Signal, dial};
