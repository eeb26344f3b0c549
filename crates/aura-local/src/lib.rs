//! Child processes on this machine, PostgreSQL and Redis above all, for whoever needs private ones:
//! `auralink up` and the tests.
//!
//! A server owned here listens on loopback only, keeps its files under one folder, and never outlives its
//! owner: it is stopped on drop and, should the owner be killed, by the kernel (`setpriv --pdeathsig`).
//! Nothing here knows a schema, a role or a key of AuraLink, and no server already running is touched.
#![warn(missing_docs)]

mod error;
mod port;
mod postgres;
mod process;
mod redis;
mod tool;

pub use error::LocalError;
pub use nix::sys::signal::Signal;
pub use port::{free_port, free_ports};
pub use postgres::{Postgres, PostgresOptions};
pub use process::{Launch, Process, send_signal, tail};
pub use redis::{Redis, RedisOptions};
pub use tool::find_program;
