//! Peer connections, on the `webrtc` crate. Everything that knows its types lives here and in `track`.

mod bad_network;
mod channel;
mod codecs;
mod filter;
mod keyframe;
mod peer;

pub(crate) use bad_network::is_lost;
pub(crate) use channel::{
    DATA_TRACK, DataSender, DataWriter, LOSSY, MAX_PACKET_BYTES, Outgoing, RELIABLE, WriterControl,
};
pub(crate) use peer::{Peer, PeerConfig, PeerEvent, TaggedPeerEvent, Target, codec_of};
