//! Whole-stack test support: the real services on free ports, and the foreign clients that use them.
//!
//! Everything started here is private to one test and ends with it. Tests never use a default port, never share a
//! database, and wait for conditions instead of times.
#![allow(clippy::print_stderr, reason = "a failing test shows what the processes said")]

pub mod aic;
pub mod bridge;
pub mod browser;
pub mod client;
pub mod codec_bench;
pub mod face;
pub mod fixture;
pub mod interop;
pub mod layout;
pub mod load;
pub mod openapi;
pub mod outcome;
pub mod rest;
pub mod senses;
pub mod sfu;
pub mod speech;
pub mod stack;
pub mod token;
pub mod wait;
pub mod web_app;

mod service;

pub use browser::{Browser, Window, WindowOptions, entries, number};
pub use client::Client;
pub use face::{Face, Somebody};
pub use interop::{PythonParticipant, ServerSdk};
pub use outcome::Outcome;
pub use rest::{Api, Person};
pub use sfu::{Sfu, SfuOptions};
pub use stack::Stack;
pub use web_app::{Mode, WebApp, id};
