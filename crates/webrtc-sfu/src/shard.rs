//! The packet path: one thread per shard owns its socket, its rooms and their connections, and shares nothing.
//!
//! A turn of the loop: wait, read datagrams, feed connections, forward, run commands and timers, send. Within a turn
//! no lock is taken and nothing awaits. A connection that panics or fails is dropped; its shard goes on.

pub(crate) mod aic;
pub(crate) mod backlog;
pub(crate) mod batch;
pub(crate) mod command;
pub(crate) mod counters;
pub(crate) mod data_track;
pub(crate) mod demux;
pub(crate) mod fanout;
pub(crate) mod host;
pub(crate) mod media;
pub(crate) mod outputs;
pub(crate) mod peers;
pub(crate) mod signal_queue;
pub(crate) mod signalling;
pub(crate) mod socket;
pub(crate) mod tcp;
pub(crate) mod ticks;
pub(crate) mod worker;
