//! The codec service as its callers see it: real sockets, a real PostgreSQL, the bundled model.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod access;
mod catalogue;
mod client;
mod codecs;
mod console;
mod faults;
mod hostile;
mod moving;
mod server;
mod sound;
#[path = "../codec/speech.rs"]
mod speech;
mod streams;
mod tenants;
