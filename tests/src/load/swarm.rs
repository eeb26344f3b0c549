//! Many clients on one thread.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use aura_types::{Clock, SystemClock};
use livekit_protocol as proto;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use mio::{Events, Poll, Registry, Token, Waker};
use serde_json::{Value, json};

use super::meter::Meter;
use super::peer::Peer;
use super::signal::{Line, Signalling};
use super::source::{Media, Source};
use crate::token;

/// Where clients go.
#[derive(Debug, Clone)]
pub struct Target {
    /// Signalling address, ws://.
    pub url: String,
    /// API key.
    pub key: String,
    /// API secret.
    pub secret: String,
    /// Process whose processor time is counted.
    pub pid: u32,
}

/// What a client does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Publisher(Media),
    Subscriber,
}

struct Client {
    role: Role,
    /// None when connected to another client of ours, without a server.
    line: Option<Line>,
    /// The connection it publishes on and the one it receives on, as far as there are any.
    peers: [Option<Peer>; 2],
    source: Option<Source>,
    gone: Option<String>,
}

const TRACK: &str = "load-track";
const PUBLISHER: usize = 0;
const SUBSCRIBER: usize = 1;
const WAKE: Token = Token(usize::MAX);

pub(super) struct Swarm {
    poll: Poll,
    events: Events,
    signalling: Signalling,
    /// By number; a client that left is none. Its connections' tokens are twice that, and one more.
    clients: Vec<Option<Client>>,
    pub(super) meter: Meter,
    buffer: Vec<u8>,
}

impl Swarm {
    pub(super) fn new() -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        Ok(Self {
            signalling: Signalling::start(waker)?,
            poll,
            events: Events::with_capacity(1_024),
            clients: Vec::new(),
            meter: Meter::new(now()),
            buffer: vec![0; 2_048],
        })
    }

    /// Starts joining; [`Self::is_ready`] says when media is up.
    pub(super) fn join(&mut self, target: &Target, room: &str, role: Role) -> anyhow::Result<usize> {
        let id = self.clients.len();
        let grants = match role {
            Role::Publisher(_) => json!({"roomJoin": true, "room": room, "canSubscribe": false}),
            Role::Subscriber => json!({"roomJoin": true, "room": room, "canPublish": false}),
        };
        let token = token::sign(&target.key, &target.secret, &format!("load-{id}"), grants);
        let url = format!(
            "{}/rtc?protocol=16&sdk=go&version=2.0.0&auto_subscribe=1&access_token={token}",
            target.url
        );
        let line = Some(self.signalling.dial(id, url));
        self.clients.push(Some(Client { role, line, peers: [None, None], source: None, gone: None }));
        Ok(id)
    }

    /// A publisher and a subscriber of our own without a server between them: what the generator itself costs.
    pub(super) fn pair(&mut self, media: Media) -> anyhow::Result<[usize; 2]> {
        let ids = [self.clients.len(), self.clients.len() + 1];
        let mut sender = Peer::new(self.poll.registry(), token_of(ids[0], PUBLISHER), now())?;
        let mut receiver = Peer::new(self.poll.registry(), token_of(ids[1], SUBSCRIBER), now())?;
        let offer = sender.offer(media.kind(), TRACK)?;
        sender.accept_answer(&receiver.accept_offer(&offer)?)?;
        let (role, peers) = (Role::Publisher(media), [Some(sender), None]);
        self.clients.push(Some(Client { role, line: None, peers, source: None, gone: None }));
        let (role, peers) = (Role::Subscriber, [None, Some(receiver)]);
        self.clients.push(Some(Client { role, line: None, peers, source: None, gone: None }));
        Ok(ids)
    }

    pub(super) fn is_ready(&self, id: usize) -> bool {
        self.clients.get(id).and_then(Option::as_ref).is_some_and(Client::is_ready)
    }

    pub(super) fn start(&mut self, id: usize) {
        let Some(client) = self.clients[id].as_mut() else { return };
        if let Role::Publisher(media) = client.role {
            client.source = Some(Source::new(media, now()));
        }
    }

    /// Hangs up.
    pub(super) fn leave(&mut self, id: usize) {
        self.clients[id] = None;
    }

    pub(super) fn leave_all(&mut self) {
        self.clients.iter_mut().for_each(|client| *client = None);
    }

    /// Runs for `duration`.
    pub(super) fn run(&mut self, duration: Duration) -> anyhow::Result<()> {
        let until = now() + duration;
        while now() < until {
            self.turn(until)?;
        }
        Ok(())
    }

    /// Runs until `done` holds; an error after `limit`.
    pub(super) fn run_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let until = now() + limit;
        while !done(self)? {
            if now() >= until {
                bail!("waited {limit:?} in vain for {what}");
            }
            self.turn(until.min(now() + Duration::from_millis(100)))?;
        }
        Ok(())
    }

    /// Waits for whatever comes first, and deals with everything that has come.
    fn turn(&mut self, until: Instant) -> anyhow::Result<()> {
        let wake_at = self
            .clients
            .iter()
            .flatten()
            .flat_map(|client| {
                let peers = client.peers.iter().flatten().map(|peer| peer.deadline);
                peers.chain(client.source.as_ref().map(Source::next_at))
            })
            .fold(until, Instant::min);
        self.poll.poll(&mut self.events, Some(wake_at.saturating_duration_since(now()))).or_else(
            |error| if error.kind() == std::io::ErrorKind::Interrupted { Ok(()) } else { Err(error) },
        )?;

        let (meter, buffer) = (&mut self.meter, &mut self.buffer);
        for event in &self.events {
            let Token(token) = event.token();
            let Some(Some(client)) = self.clients.get_mut(token / 2) else { continue };
            let Some(peer) = &mut client.peers[token % 2] else { continue };
            let news = peer.read(buffer, now, &mut |payload, at| meter.received(payload, at));
            if let Some(source) = &mut client.source {
                source.keyframe_wanted |= news.keyframe_wanted;
            }
        }
        self.listen()?;
        let meter = &mut self.meter;
        for (id, client) in self.clients.iter_mut().enumerate() {
            let Some(client) = client else { continue };
            if let (Some(source), Some(peer)) = (&mut client.source, &mut client.peers[PUBLISHER]) {
                let at = now();
                let written = source.write(peer, at, meter.mark(at));
                if written > 0 {
                    meter.sent(written);
                    peer.deadline = at;
                }
            }
            for peer in client.peers.iter_mut().flatten() {
                if peer.deadline <= now() {
                    let news = peer.tick(now(), &mut |payload, at| meter.received(payload, at));
                    if let Some(source) = &mut client.source {
                        source.keyframe_wanted |= news.keyframe_wanted;
                    }
                }
                if peer.failed {
                    bail!("a connection of client {id} failed");
                }
            }
            if let Some(why) = &client.gone {
                bail!("client {id} was thrown out: {why}");
            }
        }
        Ok(())
    }

    fn listen(&mut self) -> anyhow::Result<()> {
        for (id, heard) in self.signalling.heard() {
            let Some(Some(client)) = self.clients.get_mut(id) else { continue };
            match heard {
                Ok(message) => {
                    client.hear(id, message, self.poll.registry()).with_context(|| format!("client {id}"))?;
                }
                Err(why) => client.gone = Some(why),
            }
        }
        Ok(())
    }
}

impl Client {
    fn is_ready(&self) -> bool {
        let peer = match self.role {
            Role::Publisher(_) => &self.peers[PUBLISHER],
            Role::Subscriber => &self.peers[SUBSCRIBER],
        };
        peer.as_ref().is_some_and(|peer| peer.connected)
    }

    fn hear(&mut self, id: usize, message: Response, registry: &Registry) -> anyhow::Result<()> {
        match message {
            Response::Join(_) => {
                if let Role::Publisher(media) = self.role {
                    let mut peer = Peer::new(registry, token_of(id, PUBLISHER), now())?;
                    self.publish(media, &mut peer)?;
                    self.peers[PUBLISHER] = Some(peer);
                }
            }
            Response::Offer(offer) => {
                // Some servers offer to receivers only, others to everybody.
                let peer = match &mut self.peers[SUBSCRIBER] {
                    Some(peer) => peer,
                    none => none.insert(Peer::new(registry, token_of(id, SUBSCRIBER), now())?),
                };
                let sdp = peer.accept_offer(&offer.sdp)?;
                peer.deadline = now();
                self.say(Request::Answer(description("answer", sdp, offer.id)));
            }
            Response::Answer(answer) => {
                let peer = self.peers[PUBLISHER].as_mut().context("an answer to no offer")?;
                peer.accept_answer(&answer.sdp)?;
                peer.deadline = now();
            }
            Response::Trickle(trickle) => {
                let candidate: Value = serde_json::from_str(&trickle.candidate_init)?;
                let side = match trickle.target() {
                    proto::SignalTarget::Publisher => PUBLISHER,
                    proto::SignalTarget::Subscriber => SUBSCRIBER,
                };
                if let Some(peer) = &mut self.peers[side] {
                    peer.add_candidate(candidate["candidate"].as_str().unwrap_or_default());
                    peer.deadline = now();
                }
            }
            Response::Leave(leave) => self.gone = Some(format!("{:?}", leave.reason())),
            _ => {}
        }
        Ok(())
    }

    fn publish(&self, media: Media, peer: &mut Peer) -> anyhow::Result<()> {
        let (kind, source) = match media {
            Media::Audio => (proto::TrackType::Audio, proto::TrackSource::Microphone),
            Media::Video { .. } => (proto::TrackType::Video, proto::TrackSource::Camera),
        };
        let is_video = kind == proto::TrackType::Video;
        let (width, height) = if is_video { (640, 360) } else { (0, 0) };
        let layer = proto::VideoLayer {
            quality: proto::VideoQuality::High.into(),
            width,
            height,
            ..Default::default()
        };
        self.say(Request::AddTrack(proto::AddTrackRequest {
            cid: TRACK.to_owned(),
            r#type: kind.into(),
            source: source.into(),
            width,
            height,
            layers: if is_video { vec![layer] } else { Vec::new() },
            disable_red: true,
            ..Default::default()
        }));
        let offer = peer.offer(media.kind(), TRACK)?;
        self.say(Request::Offer(description("offer", offer, 1)));
        Ok(())
    }

    fn say(&self, request: Request) {
        if let Some(line) = &self.line {
            line.send(request);
        }
    }
}

fn description(kind: &str, sdp: String, id: u32) -> proto::SessionDescription {
    proto::SessionDescription { r#type: kind.to_owned(), sdp, id, ..Default::default() }
}

fn token_of(client: usize, side: usize) -> Token {
    Token(client * 2 + side)
}

fn now() -> Instant {
    SystemClock.monotonic()
}
