//! AIC tracks: which packets may pass, and the edge transcoder for subscribers who take only Opus.
//!
//! The shard decides and forwards; the stream to the aic-codec service is a tokio task's (`control/transcoder.rs`).
//! Between them are bounded queues: what does not fit is a transcoder that is too slow, and the publisher is asked for
//! Opus instead. Nothing here decodes, waits, or knows gRPC.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aic_codec::payload::{History, Payload};
use aura_media::Codec;
use aura_media::layer::Layer;
use aura_media::rewrite::{Numbers, Vp8Numbers};
use bytes::Bytes;
use str0m::format::Codec as Negotiated;
use str0m::rtp::{ExtensionValues, RtpPacket};
use tokio::sync::mpsc;

use super::fanout::{Copy, TrackId};
use super::peers::Peers;
use super::worker::Shard;
use crate::engine::Moment;
use crate::engine::aic_fit::Fitted;
use crate::engine::codec_choice::CodecChoice;
use crate::engine::forward::{Incoming, Verdict};
use crate::transport::{Outgoing, SubscriberTransport};

/// Packets that may wait for the transcoder: more than a second's worth is not late but broken.
const INPUT_QUEUE: usize = 64;
/// Transcoded packets handled per turn.
const PACKETS_PER_TURN: usize = 256;
/// Packets that go in and bring nothing out for this long mean that the transcoder hangs.
const SLOW: Duration = Duration::from_millis(500);

/// Names one stream: a track's slot, and which of its streams, so that late answers of a closed one are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamKey {
    pub(crate) track: TrackId,
    pub(crate) generation: u64,
}

/// A stream the shard wants opened.
#[derive(Debug)]
pub(crate) struct OpenStream {
    pub(crate) key: StreamKey,
    pub(crate) room: String,
    pub(crate) track: String,
    /// Closed by the shard to end the stream.
    pub(crate) packets: mpsc::Receiver<CodedPacket>,
    pub(crate) answers: TranscodedSender,
}

/// One AIC packet for the transcoder.
#[derive(Debug)]
pub(crate) struct CodedPacket {
    pub(crate) payload: Bytes,
    pub(crate) timestamp: u32,
    pub(crate) sequence: u16,
}

/// What comes back.
#[derive(Debug)]
pub(crate) enum Transcoded {
    Opened {
        key: StreamKey,
    },
    /// One Opus packet. The stream numbers them itself, on the 48 kHz clock.
    Packet {
        key: StreamKey,
        payload: Arc<[u8]>,
        timestamp: u32,
        sequence: u64,
    },
    /// `orderly`: it had nothing to do for long; otherwise it broke or was never there.
    Ended {
        key: StreamKey,
        orderly: bool,
    },
}

impl Transcoded {
    fn key(&self) -> StreamKey {
        match self {
            Self::Opened { key } | Self::Packet { key, .. } | Self::Ended { key, .. } => *key,
        }
    }
}

/// A stream's way back to its shard.
#[derive(Debug, Clone)]
pub(crate) struct TranscodedSender {
    pub(crate) queue: mpsc::Sender<Transcoded>,
    pub(crate) wake: Arc<super::socket::Wake>,
}

/// A shard's side of transcoding.
#[derive(Debug)]
pub(crate) struct Transcoding {
    /// `None`: no service is configured.
    pub(crate) streams: Option<mpsc::Sender<OpenStream>>,
    pub(crate) answers: TranscodedSender,
    pub(crate) inbox: mpsc::Receiver<Transcoded>,
    pub(crate) generation: u64,
}

/// What a track that may come as AIC has beside the others.
#[derive(Debug)]
pub(crate) struct AicTrack {
    choice: CodecChoice,
    /// What the publisher was last told.
    told: bool,
    stream: Option<Stream>,
    /// The publisher's last packet was AIC.
    coded: bool,
    /// End to end: nothing may be cut or transcoded.
    pub(crate) is_encrypted: bool,
    /// What passed since a listener lost packets.
    history: History,
    /// Loudness of the last packet, for the transcoder's.
    level: (Option<i8>, Option<bool>),
}

/// An open or opening stream.
#[derive(Debug)]
struct Stream {
    generation: u64,
    packets: mpsc::Sender<CodedPacket>,
    /// Since when packets went in and none came out.
    unanswered_since: Option<Instant>,
}

impl AicTrack {
    pub(crate) fn new(transcoding: &Transcoding, is_encrypted: bool) -> Self {
        Self {
            choice: CodecChoice::new(transcoding.streams.is_some() && !is_encrypted),
            told: true,
            stream: None,
            coded: false,
            is_encrypted,
            history: History::default(),
            level: (None, None),
        }
    }

    /// Notes what the publisher sends now.
    pub(crate) fn observe(&mut self, codec: Codec, packet: &RtpPacket) {
        self.coded = codec == Codec::Aic;
        let values = &packet.header.ext_vals;
        self.level = (values.audio_level, values.voice_activity);
    }

    /// This packet as its listeners get it: what came before it is at hand while any of them loses packets.
    pub(crate) fn fit(&mut self, packet: &RtpPacket, copies: &[Copy]) -> Fitted {
        if self.is_encrypted || !self.coded {
            return Fitted::sealed();
        }
        if copies.iter().all(|copy| copy.redundancy.depth() == 0) {
            self.history = History::default();
            return Fitted::new(Vec::new());
        }
        let timestamp = packet.header.timestamp;
        let earlier = self.history.before(timestamp);
        if let Ok(payload) = Payload::parse(&packet.payload) {
            self.history.note(timestamp, &payload);
        }
        Fitted::new(earlier)
    }
}

impl Shard {
    /// Whether an AIC packet may pass: its publisher has our model, and its bytes are a payload.
    pub(crate) fn admits_aic(&mut self, id: TrackId, packet: &RtpPacket) -> bool {
        self.counters.aic_received += 1;
        let aic = self.tracks.get_mut(id).and_then(|track| track.aic.as_ref());
        let admitted = aic.is_some_and(|aic| aic.is_encrypted || Payload::parse(&packet.payload).is_ok());
        if !admitted {
            self.counters.aic_refused += 1;
        }
        admitted
    }

    /// Gives a packet to the transcoder, if the track has one open.
    pub(crate) fn transcode(&mut self, id: TrackId, packet: &RtpPacket, now: Instant) {
        let Some(aic) = self.tracks.get_mut(id).and_then(|track| track.aic.as_mut()) else { return };
        let Some(stream) = &mut aic.stream else { return };
        let coded = CodedPacket {
            payload: Bytes::from_owner(Arc::clone(&packet.payload)),
            timestamp: packet.header.timestamp,
            sequence: packet.header.sequence_number,
        };
        if stream.packets.try_send(coded).is_ok() {
            stream.unanswered_since.get_or_insert(now);
            return;
        }
        aic.stream = None;
        aic.choice.failed(now);
        let now = Moment { at: now, ..self.moment() };
        self.follow_choice(id, now);
    }

    /// Handles what the transcoders sent.
    pub(crate) fn take_transcoded(&mut self, now: Moment) {
        for _ in 0..PACKETS_PER_TURN {
            let Ok(answer) = self.transcoding.inbox.try_recv() else { return };
            let key = answer.key();
            let Some(aic) = self.tracks.get_mut(key.track).and_then(|track| track.aic.as_mut()) else {
                continue;
            };
            let Some(stream) = aic.stream.as_mut().filter(|stream| stream.generation == key.generation)
            else {
                continue;
            };
            match answer {
                Transcoded::Packet { payload, timestamp, sequence, .. } => {
                    stream.unanswered_since = None;
                    let numbers = Numbers { sequence, timestamp };
                    self.forward_transcoded(key.track, &payload, numbers, now.at);
                }
                Transcoded::Opened { .. } => {
                    aic.choice.opened(now.at);
                    self.review_codec(key.track, now.at);
                }
                Transcoded::Ended { orderly, .. } => {
                    aic.stream = None;
                    match orderly {
                        true => aic.choice.ended(now.at),
                        false => aic.choice.failed(now.at),
                    }
                    self.follow_choice(key.track, now);
                }
            }
        }
        self.wake.wake();
    }

    /// Sends one Opus packet of the transcoder to every subscriber who takes no AIC.
    fn forward_transcoded(&mut self, id: TrackId, payload: &Arc<[u8]>, numbers: Numbers, now: Instant) {
        let Some(track) = self.tracks.get_mut(id) else { return };
        let Some(aic) = &track.aic else { return };
        // The publisher's own Opus is on its way already: what the transcoder still held is older.
        if !track.open || !aic.coded {
            return;
        }
        let extensions = ExtensionValues {
            audio_level: aic.level.0,
            voice_activity: aic.level.1,
            ..ExtensionValues::default()
        };
        let incoming = Incoming {
            at: now,
            layer: Layer::Low,
            numbers,
            vp8: Vp8Numbers::default(),
            starts_keyframe: true,
            clock_rate: Codec::Opus.clock_rate(),
        };
        for copy in track.copies.iter_mut().filter(|copy| !copy.takes_aic) {
            if send_transcoded(copy, &mut self.peers, payload, &extensions, &incoming) {
                self.counters.aic_transcoded += 1;
            }
        }
    }

    /// Looks at every AIC track: listeners came and went, time passed, a transcoder may hang.
    pub(crate) fn review_codecs(&mut self, now: Moment) {
        for id in self.tracks.with_aic() {
            if let Some(aic) = self.tracks.get_mut(id).and_then(|track| track.aic.as_mut()) {
                let unanswered = aic.stream.as_ref().and_then(|stream| stream.unanswered_since);
                if unanswered.is_some_and(|since| now.at.duration_since(since) > SLOW) {
                    tracing::warn!(since = ?now.at.duration_since(unanswered.unwrap_or(now.at)), "transcoder too slow");
                    aic.stream = None;
                    aic.choice.failed(now.at);
                }
            }
            self.review_codec(id, now.at);
        }
    }

    /// Looks at one track; harmless for those without AIC.
    pub(crate) fn review_codec(&mut self, id: TrackId, now: Instant) {
        let Some(track) = self.tracks.get_mut(id) else { return };
        let opus_only = track.copies.iter().any(|copy| !copy.takes_aic);
        let Some(aic) = &mut track.aic else { return };
        aic.choice.review(opus_only, now);
        let now = Moment { at: now, ..self.moment() };
        self.follow_choice(id, now);
    }

    /// Opens and closes the stream, and tells the publisher, as the track's choice says.
    fn follow_choice(&mut self, id: TrackId, now: Moment) {
        let Some(track) = self.tracks.get_mut(id) else { return };
        let Some(aic) = &mut track.aic else { return };
        if !aic.choice.wants_stream() {
            aic.stream = None;
        } else if aic.stream.is_none()
            && let Some(streams) = &self.transcoding.streams
        {
            self.transcoding.generation += 1;
            let generation = self.transcoding.generation;
            let (sender, packets) = mpsc::channel(INPUT_QUEUE);
            let open = OpenStream {
                key: StreamKey { track: id, generation },
                room: track.room.to_string(),
                track: track.sid.to_string(),
                packets,
                answers: self.transcoding.answers.clone(),
            };
            match streams.try_send(open) {
                Ok(()) => aic.stream = Some(Stream { generation, packets: sender, unanswered_since: None }),
                Err(_) => aic.choice.failed(now.at),
            }
        }
        let allowed = aic.choice.allows_aic();
        if allowed == std::mem::replace(&mut aic.told, allowed) {
            return;
        }
        if !allowed {
            metrics::counter!("aic_fallback_total", "reason" => "unavailable").increment(1);
        }
        let (room, publisher, sid) = (Arc::clone(&track.room), track.publisher.clone(), track.sid.clone());
        tracing::info!(room.name = %room, track.sid = %sid, aic = allowed, "publisher told which codec");
        if let Some(host) = self.rooms.get_mut(&room) {
            host.room.announce_aic(&publisher, &sid, allowed);
            self.rooms_with_output.push(room);
        }
    }
}

fn send_transcoded(
    copy: &mut Copy,
    peers: &mut Peers,
    payload: &Arc<[u8]>,
    extensions: &ExtensionValues,
    incoming: &Incoming,
) -> bool {
    let Some(slot) = peers.get_mut(copy.subscriber).filter(|slot| slot.peer.connected) else { return false };
    let Some(pt) = slot.peer.payload_type(copy.mid, |params| params.spec().codec == Negotiated::Opus) else {
        return false;
    };
    if !std::mem::replace(&mut copy.transcoded, true) {
        copy.down.resync();
    }
    let Verdict::Forward(numbers, _) = copy.down.forward(incoming) else { return false };
    peers.change(copy.subscriber, |peer| {
        peer.push(Outgoing {
            ssrc: copy.ssrc,
            pt,
            numbers,
            vp8: None,
            marker: false,
            extensions,
            payload: Arc::clone(payload),
            wallclock: incoming.at,
            retransmit: false,
        });
        Ok(())
    });
    true
}
