//! Placing rooms on shards, and telling other services what happens in them.

pub(crate) mod events;
pub(crate) mod node;
