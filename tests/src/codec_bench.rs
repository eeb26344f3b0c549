//! The codec's benchmark: held-out speech through AIC and through Opus, judged side by side.
//!
//! `clips` chooses the material, `coders` are the ways from samples to samples, `judge` asks the Python judges,
//! `latency` and `wire` measure time and bytes. Everything is seeded; what depends on the machine is only time.

pub mod clips;
pub mod coders;
pub mod judge;
pub mod latency;
pub mod service;
pub mod wire;
