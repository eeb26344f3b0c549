//! The dashboard against a real PostgreSQL and a real Redis, over HTTP and WebSocket.
//!
//! The SFU is away, except in `live_rooms` and `live_removals`: what needs one is tested with the whole stack, and call transitions with
//! the engine. What must work without one is tested here.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod accounts;
mod aic;
mod calls;
mod catalogue;
mod client;
mod codec_service;
mod contacts;
mod document;
mod faults;
mod files;
mod housekeeping;
mod invites;
mod live_removals;
mod live_rooms;
mod matrix;
mod messages;
mod relay;
mod removals;
mod rooms;
mod sfu_service;
mod shares;
mod site;
mod stack;
mod storage;
mod tenants;
mod websocket;
