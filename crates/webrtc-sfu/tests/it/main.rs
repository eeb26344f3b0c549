//! The SFU as its clients and neighbours see it, in one process with real sockets and a real Redis.

mod abuse;
mod admission;
mod control;
mod harness;
