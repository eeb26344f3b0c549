//! What a participant must do when, without doing it: no socket, no clock, no task.
//!
//! Every module takes `now` and values and returns values; the session asks them and acts.

pub(crate) mod keepalive;
pub(crate) mod negotiation;
pub(crate) mod outbox;
pub(crate) mod reconnect;
pub(crate) mod roster;
pub(crate) mod rpc;
pub(crate) mod sdp;
pub(crate) mod stream;
