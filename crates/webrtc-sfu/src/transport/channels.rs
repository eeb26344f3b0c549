//! The data channels of a connection: finding them by label and queueing for them.
//!
//! Reliable messages wait, in order, while the channel opens or its buffer is full; the wait is bounded in bytes. A
//! lossy message that cannot go now is dropped and counted. Packets of data tracks wait a moment (`track_queue`).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use aura_media::data_track::Packet;
use str0m::Rtc;
use str0m::channel::{ChannelConfig, ChannelId, Reliability};

use super::track_queue::{TrackQueue, Window};
use crate::engine::DataChannel;

pub(crate) const RELIABLE: &str = "_reliable";
pub(crate) const LOSSY: &str = "_lossy";
pub(crate) const DATA_TRACK: &str = "_data_track";

/// Reliable bytes that may wait for a slow receiver.
const MAX_QUEUED_BYTES: usize = 8 * 1024 * 1024;
/// …and for one whose channel has not opened (livekit-protocol §3 "Reliable resend").
const MAX_UNOPENED_BYTES: usize = 100 * 1024;
/// Reliable bytes the connection holds at most. The rest of its buffer is for those who cannot wait: a long file must
/// not silence a voice.
const RELIABLE_SHARE_BYTES: usize = 768 * 1024;
/// Lossy data behind this much is late already.
const LOSSY_BEHIND_BYTES: usize = 64 * 1024;
/// Channels one connection may open.
const MAX_CHANNELS: usize = 32;

/// Channels of one connection.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    labels: HashMap<ChannelId, Label>,
    reliable: Option<ChannelId>,
    lossy: Option<ChannelId>,
    queue: VecDeque<Arc<[u8]>>,
    queued_bytes: usize,
    pub(crate) dropped: u64,
    data_track: Option<ChannelId>,
    pub(crate) tracks: TrackQueue,
    window: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Protocol(DataChannel),
    DataTrack,
    Unknown,
}

impl Channels {
    /// The channels the server opens on a subscriber connection.
    pub(crate) fn server_opened() -> [ChannelConfig; 3] {
        let lossy = |label: &str| ChannelConfig {
            label: label.into(),
            ordered: false,
            reliability: Reliability::MaxRetransmits { retransmits: 0 },
            ..ChannelConfig::default()
        };
        let reliable = ChannelConfig { label: RELIABLE.into(), ..ChannelConfig::default() };
        [reliable, lossy(LOSSY), lossy(DATA_TRACK)]
    }

    /// A channel opened.
    pub(crate) fn opened(&mut self, id: ChannelId, label: &str) {
        if self.labels.len() >= MAX_CHANNELS {
            return;
        }
        let label = match label {
            RELIABLE => {
                self.reliable = Some(id);
                Label::Protocol(DataChannel::Reliable)
            }
            LOSSY => {
                self.lossy = Some(id);
                Label::Protocol(DataChannel::Lossy)
            }
            DATA_TRACK => {
                self.data_track = Some(id);
                Label::DataTrack
            }
            _ => Label::Unknown,
        };
        self.labels.insert(id, label);
    }

    pub(crate) fn closed(&mut self, id: ChannelId) {
        self.labels.remove(&id);
        for slot in [&mut self.reliable, &mut self.lossy, &mut self.data_track] {
            if *slot == Some(id) {
                *slot = None;
            }
        }
    }

    pub(crate) fn label(&self, id: ChannelId) -> Option<Label> {
        self.labels.get(&id).copied()
    }

    /// Sends, queues or drops one message. Lossy messages are dropped rather than delayed; reliable ones only when a
    /// receiver is so slow, or so long without a channel, that its queue is full.
    pub(crate) fn send(&mut self, rtc: &mut Rtc, channel: DataChannel, payload: Arc<[u8]>) {
        let sent = match channel {
            DataChannel::Lossy => self.lossy.is_some_and(|id| {
                let behind =
                    rtc.channel(id).is_some_and(|mut channel| channel.buffered_amount() > LOSSY_BEHIND_BYTES);
                !behind && write(rtc, id, &payload) == Written::Yes
            }),
            DataChannel::Reliable => self.send_reliable(rtc, payload),
        };
        if !sent {
            self.dropped += 1;
        }
    }

    fn send_reliable(&mut self, rtc: &mut Rtc, payload: Arc<[u8]>) -> bool {
        if self.queue.is_empty()
            && let Some(id) = self.reliable
        {
            match write_reliable(rtc, id, &payload) {
                Written::Yes => return true,
                Written::Never => return false,
                Written::Later => {}
            }
        }
        let limit = if self.reliable.is_some() { MAX_QUEUED_BYTES } else { MAX_UNOPENED_BYTES };
        if self.queued_bytes + payload.len() > limit {
            return false;
        }
        self.queued_bytes += payload.len();
        self.queue.push_back(payload);
        true
    }

    /// Sends a packet of a data track, or queues it for a moment.
    pub(crate) fn send_track(&mut self, rtc: &mut Rtc, packet: &[u8], now: Instant) {
        let Ok(Packet { header, .. }) = Packet::parse(packet) else {
            self.tracks.dropped += 1;
            return;
        };
        if !self.tracks.accepts(&header) {
            return;
        }
        if self.data_track.is_none() {
            return self.tracks.drop_packet(&header);
        }
        self.flush_tracks(rtc, now);
        if self.tracks.is_empty() {
            match self.write_track(rtc, packet, now) {
                Written::Yes => return self.tracks.wrote(&header),
                Written::Never => return self.tracks.drop_packet(&header),
                Written::Later => {}
            }
        }
        self.tracks.push(now, &header, packet);
    }

    fn flush_tracks(&mut self, rtc: &mut Rtc, now: Instant) {
        let mut tracks = std::mem::take(&mut self.tracks);
        while let Some(packet) = tracks.next(now) {
            match self.write_track(rtc, packet, now) {
                Written::Later => break,
                Written::Yes => tracks.wrote_next(),
                Written::Never => tracks.refused_next(),
            }
        }
        self.tracks = tracks;
    }

    fn write_track(&mut self, rtc: &mut Rtc, packet: &[u8], now: Instant) -> Written {
        let Some(id) = self.data_track else { return Written::Never };
        let Some(mut channel) = rtc.channel(id) else { return Written::Later };
        if !self.window.is_open(channel.buffered_amount(), now) {
            channel.set_buffered_amount_low_threshold(self.window.wake_at());
            return Written::Later;
        }
        let written = write(rtc, id, packet);
        if written == Written::Yes {
            self.window.wrote(packet.len());
        }
        written
    }

    /// Sends what waits, as far as the buffers let.
    pub(crate) fn flush(&mut self, rtc: &mut Rtc, now: Instant) {
        self.flush_tracks(rtc, now);
        self.flush_reliable(rtc);
    }

    fn flush_reliable(&mut self, rtc: &mut Rtc) {
        let Some(id) = self.reliable else { return };
        while let Some(payload) = self.queue.front() {
            // A message the channel can never take must not hold up those behind it.
            match write_reliable(rtc, id, payload) {
                Written::Later => break,
                Written::Yes => {}
                Written::Never => self.dropped += 1,
            }
            self.queued_bytes -= payload.len();
            self.queue.pop_front();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Yes,
    /// The buffer is full; we are woken when half of it has drained.
    Later,
    /// The channel refuses it for good.
    Never,
}

fn write_reliable(rtc: &mut Rtc, id: ChannelId, payload: &[u8]) -> Written {
    let Some(mut channel) = rtc.channel(id) else { return Written::Later };
    let is_full = channel.buffered_amount() >= RELIABLE_SHARE_BYTES;
    let written = if is_full { Written::Later } else { write(rtc, id, payload) };
    if written == Written::Later
        && let Some(mut channel) = rtc.channel(id)
    {
        channel.set_buffered_amount_low_threshold(256 * 1024);
    }
    written
}

fn write(rtc: &mut Rtc, id: ChannelId, payload: &[u8]) -> Written {
    let Some(mut channel) = rtc.channel(id) else { return Written::Later };
    match channel.write(true, payload) {
        Ok(true) => Written::Yes,
        Ok(false) => Written::Later,
        Err(_) => Written::Never,
    }
}

#[cfg(test)]
mod tests;
