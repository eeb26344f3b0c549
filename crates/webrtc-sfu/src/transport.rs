//! One WebRTC connection to a client, on `str0m`, without sockets or clocks.
//!
//! A [`Peer`] negotiates (single connection: the client offers; dual: a publisher connection the client offers and a
//! subscriber connection we offer), carries media and data channels, and is fed datagrams and time by its shard.
//! [`SubscriberTransport`] is the seam between routing and transport: whatever implements it can carry copies.

pub(crate) mod aic;
pub(crate) mod channels;
pub(crate) mod descriptor;
pub(crate) mod negotiation;
pub(crate) mod peer;
pub(crate) mod rtc_config;
pub(crate) mod sdp;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod track_queue;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use aura_media::MediaKind;
use aura_media::rewrite::{Numbers, Vp8Numbers};
use aura_types::TrackSid;
use str0m::media::{Mid, Pt};
use str0m::rtp::{ExtensionValues, RtpPacket, Ssrc};

use crate::engine::DataChannel;
use crate::shard::batch::SendBatch;

/// A slot in the shard's table of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PeerId(pub(crate) usize);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything; the client offers.
    Single,
    /// Client to server; the client offers.
    Publisher,
    /// Server to client; we offer.
    Subscriber,
}

/// A track that wants, or has, a section of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) track: TrackSid,
    pub(crate) kind: MediaKind,
    /// `PA_…|TR_…`: clients find the participant by it (livekit-protocol §4 "Naming").
    pub(crate) stream_id: String,
}

/// A datagram, or a frame of an ICE-TCP stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datagram<'a> {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) tcp: bool,
    pub(crate) bytes: &'a [u8],
}

/// One packet to send to a subscriber.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) ssrc: Ssrc,
    pub(crate) pt: Pt,
    pub(crate) numbers: Numbers,
    /// New picture numbers, where the payload is VP8 and its numbers must change.
    pub(crate) vp8: Option<Vp8Numbers>,
    pub(crate) marker: bool,
    pub(crate) extensions: &'a ExtensionValues,
    pub(crate) payload: Arc<[u8]>,
    /// Our instant of the moment the media was captured; drives sender reports.
    pub(crate) wallclock: Instant,
    pub(crate) retransmit: bool,
}

/// What happened on a connection.
#[derive(Debug)]
pub(crate) enum PeerEvent {
    Connected,
    /// ICE consent was lost; a restart or a new network may bring it back.
    Disconnected,
    /// ICE consent came back.
    Recovered,
    Closed,
    Rtp(Box<RtpPacket>),
    Keyframe {
        mid: Mid,
    },
    SenderReport {
        mid: Mid,
        ssrc: Ssrc,
        received_at: Instant,
        ntp: std::time::Duration,
        rtp_timestamp: u32,
    },
    Data {
        channel: DataChannel,
        bytes: Vec<u8>,
    },
    /// A packet of one of the client's data tracks.
    DataTrack {
        packet: Vec<u8>,
    },
    /// A message on a channel the protocol does not name.
    RawData {
        bytes: Vec<u8>,
    },
    /// Share of packets (0 to 1) the client lost of what we sent on a section since its last report.
    DownlinkLoss {
        mid: Mid,
        loss: f32,
    },
    /// A data channel can take what waits for it.
    ChannelReady,
}

/// The seam between routing and transport.
pub(crate) trait SubscriberTransport {
    /// Queues one packet. Nothing is sent before [`drain`](Self::drain).
    fn push(&mut self, packet: Outgoing<'_>);
    /// Takes a datagram that belongs to this connection. An error means the connection is finished.
    fn on_datagram(&mut self, now: Instant, datagram: Datagram<'_>) -> Result<(), TransportError>;
    /// Lets time pass, also for what was pushed.
    fn on_timer(&mut self, now: Instant) -> Result<(), TransportError>;
    /// Moves everything there is to send into `out` and everything that happened into `events`; returns when the
    /// connection next wants [`on_timer`](Self::on_timer).
    fn drain(&mut self, out: &mut SendBatch, events: &mut Vec<PeerEvent>) -> Result<Instant, TransportError>;
}

/// Runs what calls into `str0m` and turns a panic there into an error: hostile descriptions and misuse of its direct API
/// can panic, and that must cost one connection, not the shard.
pub(crate) fn guarded<T>(run: impl FnOnce() -> Result<T, TransportError>) -> Result<T, TransportError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(TransportError::Panic))
}

/// The connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("webrtc: {0}")]
    Rtc(#[from] str0m::RtcError),
    #[error("session description: {0}")]
    Sdp(String),
    #[error("session description refused: {0}")]
    Limit(&'static str),
    #[error("panic in the connection")]
    Panic,
}
