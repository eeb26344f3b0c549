//! A load generator for anything that speaks LiveKit signalling with two peer connections.
//!
//! One thread drives many clients, each a state machine with a UDP socket of its own; signalling runs beside it. Media
//! is canned, and every packet carries the time it was sent, so that one clock measures the whole way.

mod machine;
mod meter;
mod packet;
mod peer;
mod signal;
mod source;
mod swarm;
mod workload;

pub use machine::{cores, cpu_time, pin};
pub use meter::{Latency, median};
pub use source::Media;
pub use swarm::Target;
pub use workload::{Hall, Joins, Outcome, Plan, baseline, fan_out, joins};
