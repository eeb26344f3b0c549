//! How to join: what to subscribe to, which transports, which deadlines.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use aura_types::{SharedClock, SystemClock};

/// One peer connection each way, or one for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignalMode {
    /// Two peer connections: we offer what we publish, the server offers what we receive (`/rtc`).
    #[default]
    Dual,
    /// One peer connection for which we always offer (`/rtc/v1`).
    Single,
}

/// Which transports carry media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IceTransport {
    /// UDP, and TCP for networks that block it.
    #[default]
    UdpAndTcp,
    /// UDP alone.
    Udp,
    /// TCP alone.
    Tcp,
}

/// How to join a room. `RoomOptions::default()` suits an agent that hears everything.
#[derive(Debug, Clone)]
pub struct RoomOptions {
    /// Subscribe to every track others publish.
    pub auto_subscribe: bool,
    /// Let the server send only the layers that [`crate::Room::set_track_settings`] asks for.
    pub adaptive_stream: bool,
    /// Peer connections.
    pub mode: SignalMode,
    /// Transports of media.
    pub ice_transport: IceTransport,
    /// Local addresses to use; empty means every interface, and loopback too when the server is there.
    pub bind: Vec<IpAddr>,
    /// The AIC model we decode and encode (`Model::id`): AIC is negotiated then, with Opus behind it. `None` = Opus alone.
    pub aic_model: Option<String>,
    /// Share of media and data-track packets to lose each way, 0 to 1: a bad network, for tests and demonstrations.
    pub simulated_loss: f32,
    /// Attributes to set while joining, in addition to the token's.
    pub attributes: HashMap<String, String>,
    /// Limit for the WebSocket handshake, and again for the first message.
    pub signal_timeout: Duration,
    /// Limit for the media connection, from the first message on.
    pub media_timeout: Duration,
    /// How often to try to come back before giving up.
    pub reconnect_attempts: u32,
    /// Events kept for a slow reader; the rest is reported as [`crate::RoomEvent::Lagged`].
    pub event_capacity: usize,
    /// Largest text or byte stream accepted from others, in bytes.
    pub max_stream_bytes: usize,
    /// Where time comes from.
    pub clock: SharedClock,
}

impl Default for RoomOptions {
    fn default() -> Self {
        Self {
            auto_subscribe: true,
            adaptive_stream: false,
            mode: SignalMode::Dual,
            ice_transport: IceTransport::UdpAndTcp,
            bind: Vec::new(),
            aic_model: None,
            simulated_loss: 0.0,
            attributes: HashMap::new(),
            signal_timeout: Duration::from_secs(5),
            media_timeout: Duration::from_secs(15),
            reconnect_attempts: 10,
            event_capacity: 1_024,
            max_stream_bytes: 16 * 1024 * 1024,
            clock: SystemClock::shared(),
        }
    }
}
