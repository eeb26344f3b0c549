//! The data channels of a connection: finding them by label and queueing for them.
//!
//! Reliable messages wait, in order, while the channel opens or its buffer is full; the wait is bounded in bytes. A
//! lossy message that cannot go now is dropped and counted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use str0m::Rtc;
use str0m::channel::{ChannelConfig, ChannelId, Reliability};

use crate::engine::DataChannel;

pub(crate) const RELIABLE: &str = "_reliable";
pub(crate) const LOSSY: &str = "_lossy";
pub(crate) const DATA_TRACK: &str = "_data_track";

/// Reliable bytes that may wait for a slow receiver before it is told to reconnect.
const MAX_QUEUED_BYTES: usize = 8 * 1024 * 1024;
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Protocol(DataChannel),
    DataTrack,
    Unknown,
}

/// The receiver is too slow to keep.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

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
            DATA_TRACK => Label::DataTrack,
            _ => Label::Unknown,
        };
        self.labels.insert(id, label);
    }

    pub(crate) fn closed(&mut self, id: ChannelId) {
        self.labels.remove(&id);
        for slot in [&mut self.reliable, &mut self.lossy] {
            if *slot == Some(id) {
                *slot = None;
            }
        }
    }

    pub(crate) fn label(&self, id: ChannelId) -> Option<Label> {
        self.labels.get(&id).copied()
    }

    /// Sends, queues or (lossy) drops one message.
    pub(crate) fn send(
        &mut self,
        rtc: &mut Rtc,
        channel: DataChannel,
        payload: Arc<[u8]>,
    ) -> Result<(), Overflow> {
        match channel {
            DataChannel::Lossy => {
                if !self.lossy.is_some_and(|id| write(rtc, id, &payload)) {
                    self.dropped += 1;
                }
                Ok(())
            }
            DataChannel::Reliable => {
                if self.queue.is_empty() && self.reliable.is_some_and(|id| write(rtc, id, &payload)) {
                    return Ok(());
                }
                self.queued_bytes += payload.len();
                if self.queued_bytes > MAX_QUEUED_BYTES {
                    return Err(Overflow);
                }
                self.queue.push_back(payload);
                Ok(())
            }
        }
    }

    /// Sends what waits, as far as the buffer lets. Returns whether anything was written.
    pub(crate) fn flush(&mut self, rtc: &mut Rtc) -> bool {
        let Some(id) = self.reliable else { return false };
        let mut wrote = false;
        while let Some(payload) = self.queue.front() {
            if !write(rtc, id, payload) {
                break;
            }
            wrote = true;
            self.queued_bytes -= payload.len();
            self.queue.pop_front();
        }
        wrote
    }
}

fn write(rtc: &mut Rtc, id: ChannelId, payload: &[u8]) -> bool {
    rtc.channel(id).is_some_and(|mut channel| {
        let accepted = channel.write(true, payload).unwrap_or(false);
        if !accepted {
            // Ask to be woken when half of the buffer has drained.
            channel.set_buffered_amount_low_threshold(256 * 1024);
        }
        accepted
    })
}
