//! The room's rules, told as stories; the stage they share is here.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aura_media::layer::Layer;
use aura_media::{Codec, MediaKind};
use aura_types::{ParticipantSid, TrackSid};
use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_response::Message;

use super::admin::{AdminError, AdminReply, AdminRequest};
use super::data::DataRefusal;
use super::feedback::{Heard, Uplink};
use super::joiner::Joiner;
use super::publish::MediaFacts;
use super::room::{Refusal, Room, RoomPolicy};
use super::{DataChannel, Moment, Output, RoomEvent, limit};
use crate::testing::{joiner, now, policy};

mod administration;
mod clients;
mod data;
mod data_track;
mod feedback;
mod load;
mod membership;
mod publishing;
mod resume;
mod subscribing;
mod sync;

/// A room and everything it said, by who was told.
struct Stage {
    room: Room,
    now: Moment,
    told: Vec<(ParticipantSid, Message)>,
    /// Messages made; one may go to many.
    messages: usize,
    outputs: Vec<Output>,
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut RoomPolicy)) -> Self {
        let mut policy = policy();
        change(&mut policy);
        let now = now();
        Self {
            room: Room::new("hall".into(), policy, now),
            now,
            told: Vec::new(),
            messages: 0,
            outputs: Vec::new(),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.at += time;
        self.now.unix_ms += i64::try_from(time.as_millis()).unwrap();
        self.room.tick(self.now);
    }

    fn join(&mut self, identity: &str) -> ParticipantSid {
        self.join_as(joiner(identity)).unwrap()
    }

    fn join_as(&mut self, joiner: Joiner) -> Result<ParticipantSid, Refusal> {
        let sid = self.room.join(joiner, self.now);
        self.collect();
        sid
    }

    fn collect(&mut self) {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Signal { to, message } => {
                    self.messages += 1;
                    self.told.extend(to.into_iter().map(|to| (to, (*message).clone())));
                }
                other => self.outputs.push(other),
            }
        }
    }

    fn forget(&mut self) {
        self.collect();
        self.told.clear();
        self.messages = 0;
        self.outputs.clear();
    }

    fn told_to<'a>(&'a self, sid: &'a ParticipantSid) -> impl Iterator<Item = &'a Message> {
        self.told.iter().filter(move |(to, _)| to == sid).map(|(_, message)| message)
    }

    fn publish(&mut self, sid: &ParticipantSid, cid: &str, kind: MediaKind) -> TrackSid {
        let video = kind == MediaKind::Video;
        let request = proto::AddTrackRequest {
            cid: cid.into(),
            r#type: if video { proto::TrackType::Video } else { proto::TrackType::Audio } as i32,
            source: if video { proto::TrackSource::Camera } else { proto::TrackSource::Microphone } as i32,
            layers: if video { layers() } else { Vec::new() },
            ..Default::default()
        };
        self.room.add_track(sid, request);
        let facts = MediaFacts { cid, kind, mid: "0", codecs: &[], aic: false, simulcast: video };
        let track = self.room.claim_media(sid, &facts).unwrap();
        self.collect();
        track
    }

    fn subscriptions(&self) -> Vec<(&ParticipantSid, &TrackSid)> {
        let subscribed = |output: &'_ Output| matches!(output, Output::Subscribe { .. });
        self.outputs
            .iter()
            .filter(|output| subscribed(output))
            .map(|output| match output {
                Output::Subscribe { subscriber, track, .. } => (subscriber, track),
                _ => unreachable!("filtered above"),
            })
            .collect()
    }

    fn preferred(&self, subscriber: &ParticipantSid, track: &TrackSid) -> Option<Layer> {
        self.room.preferred_layer(subscriber, track)
    }
}

fn layers() -> Vec<proto::VideoLayer> {
    [(0, 180), (1, 360), (2, 720)]
        .map(|(quality, height)| proto::VideoLayer {
            quality,
            height,
            width: height * 16 / 9,
            ..Default::default()
        })
        .to_vec()
}

fn user_packet(text: &str) -> proto::DataPacket {
    proto::DataPacket {
        value: Some(proto::data_packet::Value::User(proto::UserPacket {
            payload: text.into(),
            ..Default::default()
        })),
        ..Default::default()
    }
}
