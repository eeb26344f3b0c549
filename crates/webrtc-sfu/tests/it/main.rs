//! The SFU as its clients and neighbours see it, in one process with real sockets and a real Redis.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod abuse;
mod admission;
mod clients;
mod control;
mod data_tracks;
mod harness;
mod refusals;
mod tokens;
