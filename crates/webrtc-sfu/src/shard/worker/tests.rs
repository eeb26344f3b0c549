//! A shard with its clients in one process: real connections on simulated time, datagrams passed by hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use aura_types::{Clock as _, ManualClock, SystemClock};
use futures_util::FutureExt as _;
use prost::Message as _;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::{Codec, PayloadParams};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::*;
use crate::engine::joiner::{ConnectionMode, Joiner};
use crate::shard::aic::TranscodedSender;
use crate::shard::command::{JoinExtras, SignalSession};
use crate::shard::signal_queue::{Outbound, SignalReceiver, signal_queue};
use crate::testing;

mod codecs;

const ROOM: &str = "hall";
const STEP: Duration = Duration::from_millis(5);
const SERVER: &str = "198.51.100.1:7882";

struct Stage {
    shard: Shard,
    clock: ManualClock,
    clients: Vec<Client>,
    _commands: mpsc::Sender<Queued>,
    _events: mpsc::Receiver<crate::engine::RoomEvent>,
}

/// A participant with a connection each way, as far as it needs them.
struct Client {
    session: SignalSession,
    messages: SignalReceiver,
    heard: Vec<Response>,
    connections: [Option<Connection>; 2],
    received: Vec<Packet>,
    /// No datagram passes; signalling does.
    offline: bool,
    /// Video codecs it has.
    codecs: &'static [Codec],
}

struct Connection {
    rtc: Rtc,
    address: SocketAddr,
    pending: Option<SdpPendingOffer>,
    wants_keyframe: bool,
    /// What it wants to send.
    leaving: Vec<Vec<u8>>,
    received: Vec<Packet>,
}

/// What a subscriber got: our number, and which of the publisher's streams it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packet {
    sequence: u64,
    layer: u8,
}

const PUBLISHER: usize = 0;
const SUBSCRIBER: usize = 1;

impl Stage {
    fn new() -> Self {
        let clock = ManualClock::new(SystemClock.now());
        let wake = Arc::new(Wake::new().unwrap());
        let (commands, to_do) = mpsc::channel(8);
        let (events, happened) = mpsc::channel(1_000);
        let (transcoded, inbox) = mpsc::channel(8);
        let certificate = str0m::crypto::from_feature_flags().dtls_provider.generate_certificate().unwrap();
        let shard = Shard {
            id: 0,
            settings: PeerSettings {
                certificate,
                udp_candidates: vec![SERVER.parse().unwrap()],
                tcp_candidates: Vec::new(),
                aic_model: None,
            },
            policy: testing::policy(),
            socket: None,
            wake: Arc::clone(&wake),
            commands: to_do,
            events,
            clock: clock.shared(),
            ufrags: Default::default(),
            peers: Default::default(),
            tracks: Default::default(),
            demux: Default::default(),
            rooms: Default::default(),
            refusals: Default::default(),
            rooms_with_output: Vec::new(),
            negotiations: Default::default(),
            negotiating: Default::default(),
            tcp: Default::default(),
            duties: Duties::new(clock.shared().monotonic()),
            transcoding: Transcoding {
                streams: None,
                answers: TranscodedSender { queue: transcoded, wake },
                inbox,
                generation: 0,
            },
            counters: Default::default(),
            stopping: false,
        };
        Self { shard, clock, clients: Vec::new(), _commands: commands, _events: happened }
    }

    fn now(&self) -> Instant {
        self.shard.clock.monotonic()
    }

    fn join(&mut self, identity: &str) -> usize {
        self.join_with(identity, &[Codec::Vp8])
    }

    fn join_with(&mut self, identity: &str, codecs: &'static [Codec]) -> usize {
        let joiner = Joiner { mode: ConnectionMode::Dual, ..testing::joiner(identity) };
        let (outbound, messages) = signal_queue();
        let now = self.shard.moment();
        let extras = JoinExtras::default();
        let session = self.shard.join(ROOM, None, joiner, extras, outbound, now).unwrap();
        self.clients.push(Client {
            session,
            messages,
            heard: Vec::new(),
            connections: [None, None],
            received: Vec::new(),
            offline: false,
            codecs,
        });
        self.clients.len() - 1
    }

    fn say(&mut self, client: usize, request: Request) {
        let session = self.clients[client].session.clone();
        let now = self.shard.moment();
        self.shard.signal(ROOM, &session, request, now);
    }

    /// What the server told a client since this was last asked.
    fn told(&mut self, client: usize) -> Vec<Response> {
        std::mem::take(&mut self.clients[client].heard)
    }

    /// Publishes a video of as many streams as there are `layers`, told apart by SSRC. Returns them, lowest first.
    fn publish(&mut self, client: usize, grouped: bool, named: bool) -> (Mid, Vec<Ssrc>) {
        let now = self.now();
        let mut connection = Connection::new(client, PUBLISHER, self.clients[client].codecs, now);
        let mut changes = connection.rtc.sdp_api();
        let (stream, track) = (Some("stream".into()), Some("camera".into()));
        let mid = changes.add_media(MediaKind::Video, Direction::SendOnly, stream, track, None);
        let (offer, pending) = changes.apply().unwrap();
        connection.pending = Some(pending);
        let mut sdp = offer.to_sdp_string();
        // The stream that the client's own stack announces stays silent.
        let numbers = [2_000_001, 2_000_002, 2_000_003];
        for number in numbers {
            sdp.push_str(&format!("a=ssrc:{number} cname:layer\r\n"));
        }
        if grouped {
            sdp.push_str(&format!("a=ssrc-group:SIM {} {} {}\r\n", numbers[0], numbers[1], numbers[2]));
        }
        let layer = |index: usize| proto::VideoLayer {
            quality: index as i32,
            width: 320 << index,
            height: 180 << index,
            ssrc: if named { numbers[index] } else { 0 },
            ..Default::default()
        };
        let request = proto::AddTrackRequest {
            cid: "camera".into(),
            r#type: proto::TrackType::Video as i32,
            source: proto::TrackSource::Camera as i32,
            layers: (0..3).map(layer).collect(),
            ..Default::default()
        };
        self.clients[client].connections[PUBLISHER] = Some(connection);
        self.say(client, Request::AddTrack(request));
        let description =
            proto::SessionDescription { r#type: "offer".into(), sdp, id: 1, ..Default::default() };
        self.say(client, Request::Offer(description));
        (mid, numbers.map(Ssrc::from).to_vec())
    }

    fn connection(&mut self, client: usize, side: usize) -> &mut Connection {
        self.clients[client].connections[side].as_mut().unwrap()
    }

    /// Lets time pass, with `each` before every step.
    fn run(&mut self, time: Duration, mut each: impl FnMut(&mut Self)) {
        let until = self.now() + time;
        while self.now() < until {
            each(self);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.shard.moment();
        for index in 0..self.clients.len() {
            for side in [PUBLISHER, SUBSCRIBER] {
                let Some(connection) = &mut self.clients[index].connections[side] else { continue };
                connection.take(Input::Timeout(now.at));
                let (source, leaving) = (connection.address, std::mem::take(&mut connection.leaving));
                let received = std::mem::take(&mut connection.received);
                let is_offline = self.clients[index].offline;
                for datagram in leaving.into_iter().filter(|_| !is_offline) {
                    let target = SERVER.parse::<SocketAddr>().unwrap().ip();
                    self.shard.on_datagram(now.at, source, Some(target), false, &datagram);
                    self.shard.handle_events(now.at);
                }
                self.clients[index].received.extend(received);
            }
        }
        self.shard.settle(now);
        self.shard.peers.run_timers(now.at);
        self.shard.run_duties(now);
        self.shard.run_negotiations(now.at);
        self.shard.settle(now);
        let batch = std::mem::take(&mut self.shard.peers.batch);
        for run in batch.runs(false) {
            let bytes = &batch.bytes()[run.start..run.start + run.len];
            let online = self.clients.iter_mut().filter(|client| !client.offline);
            let connections = online.flat_map(|client| client.connections.iter_mut().flatten());
            for connection in connections.filter(|connection| connection.address == run.destination) {
                let receive = Receive::new(Protocol::Udp, SERVER.parse().unwrap(), run.destination, bytes);
                connection.take(Input::Receive(now.at, receive.unwrap()));
            }
        }
        self.listen();
        self.clock.advance(STEP);
    }

    fn listen(&mut self) {
        for index in 0..self.clients.len() {
            while let Some(Some(outbound)) = self.clients[index].messages.recv().now_or_never() {
                let Outbound::Message(bytes) = outbound else { continue };
                let message = proto::SignalResponse::decode(bytes).unwrap().message.unwrap();
                match &message {
                    Response::Answer(answer) => {
                        let connection = self.connection(index, PUBLISHER);
                        let pending = connection.pending.take().unwrap();
                        let answer = SdpAnswer::from_sdp_string(&answer.sdp).unwrap();
                        connection.rtc.sdp_api().accept_answer(pending, answer).unwrap();
                    }
                    Response::Offer(offer) => {
                        let now = self.now();
                        let codecs = self.clients[index].codecs;
                        let fresh = || Connection::new(index, SUBSCRIBER, codecs, now);
                        let connection =
                            self.clients[index].connections[SUBSCRIBER].get_or_insert_with(fresh);
                        let parsed = SdpOffer::from_sdp_string(&offer.sdp).unwrap();
                        let sdp = connection.rtc.sdp_api().accept_offer(parsed).unwrap().to_sdp_string();
                        let (r#type, id) = ("answer".into(), offer.id);
                        let answer = proto::SessionDescription { r#type, sdp, id, ..Default::default() };
                        self.say(index, Request::Answer(answer));
                    }
                    _ => {}
                }
                self.clients[index].heard.push(message);
            }
        }
    }
}

impl Connection {
    fn new(client: usize, side: usize, codecs: &[Codec], now: Instant) -> Self {
        let address = SocketAddr::from(([192, 0, 2, 1], (1_000 + 2 * client + side) as u16));
        let has = |codec| codecs.contains(&codec);
        let config = Rtc::builder().clear_codecs().set_rtp_mode(true);
        let mut rtc = config.enable_vp8(has(Codec::Vp8)).enable_h264(has(Codec::H264)).build(now);
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        let (leaving, received) = (Vec::new(), Vec::new());
        Self { rtc, address, pending: None, wants_keyframe: true, leaving, received }
    }

    /// Takes an input and everything that follows from it, before there may be another.
    fn take(&mut self, input: Input<'_>) {
        self.rtc.handle_input(input).unwrap();
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => self.leaving.push(transmit.contents.to_vec()),
                Output::Event(Event::RtpPacket(packet)) => {
                    let layer = packet.payload.last().copied().unwrap();
                    self.received.push(Packet { sequence: *packet.seq_no, layer });
                }
                Output::Event(Event::KeyframeRequest(_)) => self.wants_keyframe = true,
                Output::Event(_) => {}
            }
        }
    }
}

/// A camera that sends a packet of every layer each 20 ms, keyframes when asked for.
struct Camera {
    client: usize,
    /// By the layer they are.
    streams: BTreeMap<u8, Ssrc>,
    mid: Mid,
    codec: Codec,
    sent: u64,
    next_at: Instant,
}

impl Camera {
    fn new(stage: &mut Stage, client: usize, mid: Mid, streams: Vec<Ssrc>) -> Self {
        let next_at = stage.now();
        let rtc = &mut stage.connection(client, PUBLISHER).rtc;
        for (ssrc, name) in streams.iter().zip(["l", "m", "n"]) {
            // The client's stack wants them named. The server does not read the names: it knows these SSRCs already.
            rtc.direct_api().declare_stream_tx(*ssrc, None, mid, Some(name.into()));
        }
        let codec = stage.clients[client].codecs[0];
        Self { client, streams: (0..).zip(streams).collect(), mid, codec, sent: 0, next_at }
    }

    fn shoot(&mut self, stage: &mut Stage) {
        let now = stage.now();
        if now < self.next_at {
            return;
        }
        self.next_at = now + Duration::from_millis(20);
        let connection = stage.connection(self.client, PUBLISHER);
        let keyframe = std::mem::take(&mut connection.wants_keyframe);
        let agreed = connection.rtc.media(self.mid).unwrap().remote_pts();
        let fits =
            |params: &&PayloadParams| params.spec().codec == self.codec && agreed.contains(&params.pt());
        let pt = connection.rtc.codec_config().params().iter().find(fits).unwrap().pt();
        for (layer, ssrc) in &self.streams {
            // A frame of one packet; its last byte says which layer it is of.
            let payload = match self.codec {
                Codec::H264 => vec![if keyframe { 0x67 } else { 0x41 }, 0, 0, *layer],
                _ => vec![0x10, u8::from(!keyframe), 0, 0, *layer],
            };
            // Streams have numbers of their own.
            let sequence = self.sent + 1_000 * (u64::from(*layer) + 1);
            let time = 1_800_u32.wrapping_mul(self.sent as u32);
            let write = RtpWrite::new(pt, sequence.into(), time, now, payload).marker(true);
            if let Some(stream) = connection.rtc.direct_api().stream_tx(ssrc) {
                stream.write_rtp(write);
            }
        }
        self.sent += 1;
    }
}

/// What a viewer got in the last second: the packets, by layer, after checking that numbers go on one by one.
fn last_second(stage: &mut Stage, viewer: usize, camera: &mut Camera) -> BTreeMap<u8, usize> {
    stage.clients[viewer].received.clear();
    stage.run(Duration::from_secs(1), |stage| camera.shoot(stage));
    let received = &stage.clients[viewer].received;
    assert!(
        received.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1),
        "one unbroken stream: {received:?}"
    );
    let mut layers = BTreeMap::new();
    for packet in received {
        *layers.entry(packet.layer).or_default() += 1;
    }
    layers
}

fn simulcast_by_ssrc(grouped: bool, named: bool) -> (Stage, usize, Camera) {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let (mid, streams) = stage.publish(alice, grouped, named);
    stage.run(Duration::from_secs(1), |_| {});
    let mut camera = Camera::new(&mut stage, alice, mid, streams);
    stage.run(Duration::from_secs(4), |stage| camera.shoot(stage));
    (stage, bob, camera)
}

#[test]
fn layers_told_apart_by_ssrc_are_followed_one_at_a_time() {
    for (grouped, named) in [(true, false), (false, true), (true, true)] {
        let (mut stage, bob, mut camera) = simulcast_by_ssrc(grouped, named);
        let seen = last_second(&mut stage, bob, &mut camera);
        assert_eq!(seen.keys().collect::<Vec<_>>(), [&2], "the highest: {seen:?}");
        assert!(seen[&2] >= 45, "every packet of it: {seen:?}");

        let track = stage.told(bob).into_iter().find_map(|message| match message {
            Response::Update(update) => {
                update.participants.iter().find_map(|p| Some(p.tracks.first()?.sid.clone()))
            }
            _ => None,
        });
        let setting = proto::UpdateTrackSettings {
            track_sids: vec![track.unwrap()],
            quality: proto::VideoQuality::Low as i32,
            ..Default::default()
        };
        stage.say(bob, Request::TrackSetting(setting));
        stage.run(Duration::from_secs(3), |stage| camera.shoot(stage));
        let seen = last_second(&mut stage, bob, &mut camera);
        assert_eq!(seen.keys().collect::<Vec<_>>(), [&0], "the lowest, as wished: {seen:?}");
    }
}

#[test]
fn streams_that_nobody_named_do_not_take_turns() {
    let (mut stage, bob, mut camera) = simulcast_by_ssrc(false, false);
    let seen = last_second(&mut stage, bob, &mut camera);
    assert_eq!(seen.len(), 1, "one of them: {seen:?}");
    assert!(seen.values().all(|count| *count >= 45), "{seen:?}");
    // The one that is followed ends: another of them takes its place.
    let followed = *seen.keys().next().unwrap();
    camera.streams.remove(&followed);
    stage.run(Duration::from_secs(4), |stage| camera.shoot(stage));
    let seen = last_second(&mut stage, bob, &mut camera);
    assert!(seen.len() == 1 && seen.values().all(|count| *count >= 45), "{seen:?}");
}

/// Whether the server gave a client's media up since this was last asked.
fn given_up(stage: &mut Stage, client: usize) -> bool {
    stage.listen();
    stage.told(client).iter().any(|message| matches!(message, Response::Leave(_)))
}

fn resume(stage: &mut Stage, client: usize) {
    let (outbound, messages) = signal_queue();
    let sid = stage.clients[client].session.participant.to_string();
    let now = stage.shard.moment();
    let session = stage.shard.resume(ROOM, &sid, "alice", JoinExtras::default(), outbound, now).unwrap();
    (stage.clients[client].session, stage.clients[client].messages) = (session, messages);
}

/// A client whose network went away until it was asked to resume, and its connection at the server.
fn cut_off() -> (Stage, usize, PeerId) {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.run(Duration::from_secs(1), |_| {});
    let link = stage.shard.rooms[ROOM].links.values().next().unwrap();
    let media = link.subscriber;
    assert!(stage.shard.peers.get(media).unwrap().peer.connected, "media are up");

    stage.clients[alice].offline = true;
    stage.told(alice);
    stage.run(Duration::from_secs(12), |_| {});
    assert!(!given_up(&mut stage, alice), "not before its time");
    stage.run(Duration::from_secs(6), |_| {});
    assert!(given_up(&mut stage, alice), "then it is asked to resume");
    (stage, alice, media)
}

#[test]
fn who_resumes_has_the_full_time_to_bring_its_media_back() {
    let (mut stage, alice, media) = cut_off();
    stage.run(Duration::from_secs(2), |_| {});
    resume(&mut stage, alice);
    stage.run(Duration::from_secs(12), |_| {});
    assert!(!given_up(&mut stage, alice), "a slow network has time for ICE, DTLS and what they repeat");
    stage.clients[alice].offline = false;
    stage.run(Duration::from_secs(20), |_| {});
    assert!(!given_up(&mut stage, alice), "who is back stays");
    let peer = stage.shard.peers.get(media).map(|slot| &slot.peer);
    assert!(peer.is_some_and(|peer| peer.disconnected_at.is_none()), "and is heard");
}

#[test]
fn who_is_slow_to_connect_is_waited_for() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.clients[alice].offline = true;
    stage.run(Duration::from_secs(8), |_| {});
    assert!(!given_up(&mut stage, alice), "its first checks take their time");
    stage.clients[alice].offline = false;
    stage.run(Duration::from_secs(8), |_| {});
    let media = stage.shard.rooms[ROOM].links.values().next().unwrap().subscriber;
    assert!(stage.shard.peers.get(media).unwrap().peer.connected);
}

#[test]
fn who_resumes_and_stays_away_is_asked_again() {
    let (mut stage, alice, media) = cut_off();
    resume(&mut stage, alice);
    stage.run(Duration::from_secs(18), |_| {});
    let asked = given_up(&mut stage, alice);
    let peer = stage.shard.peers.get(media).map(|slot| &slot.peer);
    let state = peer.map(|peer| (peer.disconnected_at, peer.resumed_at, peer.closed_at));
    assert!(asked, "{state:?} at {:?}", stage.now());
}
