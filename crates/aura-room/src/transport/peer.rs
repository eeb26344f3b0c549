//! One peer connection: building it, offers and answers, candidates, tracks, channels.
//!
//! Its events reach the session over a bounded queue, marked with the connection's generation so that those of a
//! replaced connection are recognised. The connection's driver never waits for the session.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aic_codec::payload::meta;
use aic_codec::payload::sdp::Fmtp;
use aura_media::{Codec, MediaKind};
use livekit_protocol as proto;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{Registry, Slot};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, RTCDataChannelInit};
use webrtc::error::Result;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_local::{TrackLocal, TrackLocalEvent};
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceServer, RTCPeerConnectionIceEvent, RTCPeerConnectionState,
    RTCSessionDescription, SettingEngineBuilder, register_default_interceptors,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit, RtpSender};

use super::bad_network::BadNetwork;
use super::codecs::register_with_aic;
use super::filter::Filter;
use super::keyframe::{KeyframeRequests, is_request, reported_loss};
use crate::engine::sdp::{AUDIO_LEVEL_URI, overlooked_candidates, with_format_parameters};
use crate::options::IceTransport;
use crate::task::Tasks;
use crate::track::{LocalTrack, redundancy, rtc_codec};

/// Silence after which a path counts as disconnected, and then as failed.
const ICE_DISCONNECTED: Duration = Duration::from_secs(5);
const ICE_FAILED: Duration = Duration::from_secs(10);
const ICE_KEEPALIVE: Duration = Duration::from_secs(2);
/// Data that may wait for the peer on each channel, in bytes, before a writer waits.
const SEND_BUFFER_BYTES: usize = 1024 * 1024;

/// Which of the two connections; in single mode there is only the publisher's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Publisher,
    Subscriber,
}

impl From<Target> for proto::SignalTarget {
    fn from(target: Target) -> Self {
        match target {
            Target::Publisher => Self::Publisher,
            Target::Subscriber => Self::Subscriber,
        }
    }
}

/// What a connection reports.
pub(crate) enum PeerEvent {
    State(RTCPeerConnectionState),
    /// A candidate of ours, as the JSON the other side reads.
    Candidate(String),
    Track(Arc<dyn TrackRemote>),
    Channel(Arc<dyn DataChannel>),
}

/// An event's origin and content.
pub(crate) type TaggedPeerEvent = (u64, Target, PeerEvent);

#[derive(Debug, Clone)]
pub(crate) struct PeerConfig {
    pub(crate) ice_servers: Vec<proto::IceServer>,
    pub(crate) ice_transport: IceTransport,
    pub(crate) bind: Vec<IpAddr>,
    /// Model of the AIC codec to negotiate.
    pub(crate) aic_model: Option<String>,
    /// Share of media packets to lose each way, 0 to 1.
    pub(crate) simulated_loss: f32,
    /// The server was reached over loopback, so its candidates are there too.
    pub(crate) loopback: bool,
}

struct Handler {
    generation: u64,
    target: Target,
    events: mpsc::Sender<TaggedPeerEvent>,
}

impl Handler {
    fn report(&self, event: PeerEvent) {
        // The driver must not wait; the queue holds more than a connection ever has to say at once.
        if self.events.try_send((self.generation, self.target, event)).is_err() {
            tracing::error!(target = ?self.target, "peer connection event lost");
        }
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let Ok(init) = event.candidate.to_json() else { return };
        let json = serde_json::json!({
            "candidate": init.candidate,
            "sdpMid": "0",
            "sdpMLineIndex": 0,
        });
        self.report(PeerEvent::Candidate(json.to_string()));
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.report(PeerEvent::State(state));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.report(PeerEvent::Channel(channel));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        self.report(PeerEvent::Track(track));
    }
}

/// A peer connection and what the session must remember of it.
pub(crate) struct Peer {
    connection: Arc<dyn PeerConnection>,
    pub(crate) state: RTCPeerConnectionState,
    /// Candidates that came before the description they belong to.
    early: Vec<RTCIceCandidateInit>,
    described: bool,
    /// Candidates of descriptions that were added by hand.
    noted: HashSet<String>,
    /// Senders whose track was taken away; the next track of that kind takes the section over.
    free_senders: Vec<RtpCodecKind>,
    /// The AIC model that is offered beside Opus.
    speaks_aic: Option<String>,
    /// Last description of each side, for `sync_state`.
    pub(crate) local: Option<String>,
    pub(crate) remote: Option<String>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Peer {
    pub(crate) async fn new(
        target: Target,
        generation: u64,
        config: &PeerConfig,
        events: mpsc::Sender<TaggedPeerEvent>,
    ) -> Result<Self> {
        let mut media_engine = MediaEngine::default();
        match &config.aic_model {
            Some(model) => {
                register_with_aic(&mut media_engine, model)?;
                let meta = RTCRtpHeaderExtensionCapability { uri: meta::URI.to_owned() };
                media_engine.register_header_extension(meta, RtpCodecKind::Audio, None)?;
            }
            None => media_engine.register_default_codecs()?,
        }
        let level = RTCRtpHeaderExtensionCapability { uri: AUDIO_LEVEL_URI.to_owned() };
        media_engine.register_header_extension(level, RtpCodecKind::Audio, None)?;
        let mut registry = register_default_interceptors(Registry::new(), &mut media_engine)?
            .with(Slot::from(usize::MAX), Filter::new(KeyframeRequests));
        if config.simulated_loss > 0.0 {
            registry = registry.with(Slot::from(0), Filter::new(BadNetwork { loss: config.simulated_loss }));
        }
        let ice_servers = config
            .ice_servers
            .iter()
            .map(|server| RTCIceServer {
                urls: server.urls.clone(),
                username: server.username.clone(),
                credential: server.credential.clone(),
            })
            .collect();
        let settings = SettingEngineBuilder::new()
            .with_ice_timeouts(Some(ICE_DISCONNECTED), Some(ICE_FAILED), Some(ICE_KEEPALIVE))
            // Servers name addresses; a multicast socket per connection would be waste.
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .build();
        let addresses = bind_addresses(config);
        let (udp, tcp) = match config.ice_transport {
            IceTransport::UdpAndTcp => (addresses.clone(), addresses),
            IceTransport::Udp => (addresses, Vec::new()),
            IceTransport::Tcp => (Vec::new(), addresses),
        };
        let connection = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::default().with_ice_servers(ice_servers).build())
            .with_media_engine(media_engine)
            .with_interceptor_registry(registry)
            .with_setting_engine(settings)
            .with_handler(Arc::new(Handler { generation, target, events }))
            .with_udp_addrs(udp)
            .with_tcp_addrs(tcp)
            .with_data_channel_send_buffer_limit(SEND_BUFFER_BYTES)
            .build()
            .await?;
        Ok(Self {
            connection: Arc::new(connection),
            state: RTCPeerConnectionState::New,
            early: Vec::new(),
            described: false,
            noted: HashSet::new(),
            free_senders: Vec::new(),
            speaks_aic: config.aic_model.clone(),
            local: None,
            remote: None,
        })
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state == RTCPeerConnectionState::Connected
    }

    /// Makes and applies an offer. It may replace one that was never answered.
    pub(crate) async fn offer(&mut self, ice_restart: bool) -> Result<String> {
        let offer = self.connection.create_offer(Some(RTCOfferOptions { ice_restart })).await?;
        let sdp = offer.sdp.clone();
        self.connection.set_local_description(offer).await?;
        tracing::trace!(%sdp, "our offer");
        self.local = Some(sdp.clone());
        Ok(sdp)
    }

    /// Applies the answer to our offer.
    pub(crate) async fn accept_answer(&mut self, sdp: String) -> Result<()> {
        tracing::trace!(%sdp, "their answer");
        self.remote = Some(sdp.clone());
        self.note_candidates(&sdp);
        let sdp = self.with_our_model(sdp);
        self.connection.set_remote_description(RTCSessionDescription::answer(sdp)?).await?;
        self.flush_candidates().await;
        Ok(())
    }

    /// Applies an offer and makes and applies the answer.
    pub(crate) async fn answer(&mut self, sdp: String) -> Result<String> {
        tracing::trace!(%sdp, "their offer");
        self.remote = Some(sdp.clone());
        self.note_candidates(&sdp);
        let sdp = self.with_our_model(sdp);
        self.connection.set_remote_description(RTCSessionDescription::offer(sdp)?).await?;
        let answer = self.connection.create_answer(None).await?;
        let sdp = answer.sdp.clone();
        tracing::trace!(%sdp, "our answer");
        self.connection.set_local_description(answer).await?;
        self.local = Some(sdp.clone());
        self.flush_candidates().await;
        Ok(sdp)
    }

    /// Their description with our AIC model in it: the media stack refuses a section whose parameters differ, and models
    /// are compared elsewhere.
    fn with_our_model(&self, sdp: String) -> String {
        match &self.speaks_aic {
            Some(model) => {
                with_format_parameters(&sdp, Codec::Aic.short_name(), &Fmtp::of(model).to_string())
            }
            None => sdp,
        }
    }

    /// Adds a candidate of the other side; a bad one is logged and ignored.
    pub(crate) async fn add_candidate(&mut self, json: &str) {
        let Ok(init) = serde_json::from_str::<RTCIceCandidateInit>(json) else {
            tracing::warn!(json, "unreadable candidate");
            return;
        };
        if !self.described {
            self.early.push(init);
            return;
        }
        self.apply_candidate(init).await;
    }

    /// Candidates of a description that need help; each once, because every description repeats them.
    fn note_candidates(&mut self, sdp: &str) {
        for line in overlooked_candidates(sdp) {
            if self.noted.insert(line.to_owned()) {
                let candidate = line.to_owned();
                self.early.push(RTCIceCandidateInit { candidate, ..RTCIceCandidateInit::default() });
            }
        }
    }

    async fn flush_candidates(&mut self) {
        self.described = true;
        for init in std::mem::take(&mut self.early) {
            self.apply_candidate(init).await;
        }
    }

    async fn apply_candidate(&self, init: RTCIceCandidateInit) {
        if init.candidate.is_empty() {
            return;
        }
        if let Err(error) = self.connection.add_ice_candidate(init).await {
            tracing::debug!(%error, "candidate not used");
        }
    }

    /// Opens the channels every participant has.
    pub(crate) async fn create_channels(&self) -> Result<[(&'static str, Arc<dyn DataChannel>); 3]> {
        let lossy = || RTCDataChannelInit {
            ordered: false,
            max_retransmits: Some(0),
            ..RTCDataChannelInit::default()
        };
        let reliable = RTCDataChannelInit { ordered: true, ..RTCDataChannelInit::default() };
        let open = async |label, init| {
            Result::Ok((label, self.connection.create_data_channel(label, Some(init)).await?))
        };
        Ok([
            open(super::RELIABLE, reliable).await?,
            open(super::LOSSY, lossy()).await?,
            open(super::DATA_TRACK, lossy()).await?,
        ])
    }

    /// Adds sections that receive, for the server to put tracks on.
    pub(crate) async fn add_receivers(&self, kind: MediaKind, count: u32) -> Result<()> {
        for _ in 0..count {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                streams: Vec::new(),
                send_encodings: Vec::new(),
            };
            self.connection.add_transceiver_from_kind(rtc_kind(kind), Some(init)).await?;
        }
        Ok(())
    }

    /// Adds a track to send, and watches it for keyframe requests. An offer must follow.
    ///
    /// `reuse`: a section that once sent may be taken over; not where such sections may also receive.
    pub(crate) async fn add_track(
        &mut self,
        track: &LocalTrack,
        stream_id: String,
        reuse: bool,
        tasks: &Tasks,
        on_keyframe: impl Fn() + Send + Sync + 'static,
    ) -> Result<(Arc<TrackLocalStaticRTP>, Arc<dyn RtpSender>)> {
        let kind = rtc_kind(track.codec().kind());
        let encoding = |codec| RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(track.ssrc()), ..Default::default() },
            codec: rtc_codec(codec),
            ..Default::default()
        };
        // The codecs of all entries are offered; one stream comes of them, as none has a restriction id.
        let mut encodings = vec![encoding(track.codec())];
        if self.speaks_aic.is_some() && track.codec() == Codec::Opus {
            encodings.insert(0, encoding(Codec::Aic));
            encodings.push(RTCRtpEncodingParameters { codec: redundancy(), ..encoding(Codec::Opus) });
        }
        let media = MediaStreamTrack::new(
            stream_id.clone(),
            track.id().to_owned(),
            track.id().to_owned(),
            kind,
            encodings.clone(),
        );
        let rtp = Arc::new(TrackLocalStaticRTP::new(media));
        let free = self.free_senders.iter().position(|free| *free == kind).filter(|_| reuse);
        let sender = if let Some(free) = free {
            self.free_senders.swap_remove(free);
            self.connection.add_track(Arc::clone(&rtp) as Arc<dyn TrackLocal>).await?
        } else {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Sendonly,
                streams: vec![stream_id],
                send_encodings: encodings,
            };
            let transceiver = self
                .connection
                .add_transceiver_from_track(Arc::clone(&rtp) as Arc<dyn TrackLocal>, Some(init))
                .await?;
            transceiver.sender().await?.ok_or(webrtc::error::Error::ErrRTPSenderNotExisted)?
        };
        let feedback = Arc::clone(&rtp);
        let reported = track.clone();
        tasks.spawn("track feedback", async move {
            while let Some(TrackLocalEvent::OnRtcpPacket(packets)) = feedback.poll().await {
                if packets.iter().any(|packet| is_request(packet.as_ref())) {
                    on_keyframe();
                }
                let ssrc = reported.ssrc();
                if let Some(loss) = packets.iter().find_map(|packet| reported_loss(packet.as_ref(), ssrc)) {
                    reported.note_loss(loss);
                }
            }
        });
        Ok((rtp, sender))
    }

    /// Stops sending a track. An offer must follow.
    pub(crate) async fn remove_track(&mut self, sender: &Arc<dyn RtpSender>, kind: MediaKind) -> Result<()> {
        self.connection.remove_track(sender).await?;
        self.free_senders.push(rtc_kind(kind));
        Ok(())
    }

    pub(crate) async fn close(&self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "peer connection did not close cleanly");
        }
    }
}

/// The codec of the media that arrives under `ssrc`.
pub(crate) async fn codec_of(track: &Arc<dyn TrackRemote>, ssrc: u32) -> Option<Codec> {
    Codec::parse(&track.codec(ssrc).await?.mime_type)
}

fn rtc_kind(kind: MediaKind) -> RtpCodecKind {
    match kind {
        MediaKind::Audio => RtpCodecKind::Audio,
        MediaKind::Video => RtpCodecKind::Video,
    }
}

/// Port 0 everywhere: the operating system chooses.
fn bind_addresses(config: &PeerConfig) -> Vec<SocketAddr> {
    let mut addresses: Vec<IpAddr> = config.bind.clone();
    if addresses.is_empty() {
        addresses.push(if config.loopback {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        });
    }
    addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect()
}
