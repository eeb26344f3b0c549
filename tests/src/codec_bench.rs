//! The codec's benchmark: held-out speech through AIC and through Opus, judged side by side.
//!
//! `clips` chooses the material and `loss` what is lost of it, `coders` are the ways from samples to samples, `judge`
//! asks the Python judges, `calls` and `wire` count bytes, `delay`, `latency` and `service` measure time. Everything is
//! seeded; what depends on the machine is only time.

pub mod calls;
pub mod clips;
pub mod coders;
pub mod delay;
pub mod judge;
pub mod latency;
pub mod loss;
pub mod service;
pub mod wire;
