//! Placing rooms on shards, reaching the edge transcoder, and telling other services what happens in them.

pub(crate) mod events;
pub(crate) mod node;
pub(crate) mod transcoder;
