//! Who left lately: told to those who come back, for the news may have gone into a connection that was dead already.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use livekit_protocol as proto;

/// Until a dead connection is noticed, and then until its participant is given up.
const KEPT: Duration = Duration::from_secs(90);
/// Most of them; the oldest go first.
const MAX: usize = 1_000;

/// As others were told of them when they left, oldest first.
#[derive(Debug, Default)]
pub(crate) struct GoneLately(VecDeque<(Instant, proto::ParticipantInfo)>);

impl GoneLately {
    pub(crate) fn push(&mut self, gone: proto::ParticipantInfo, now: Instant) {
        if self.0.len() >= MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, gone));
    }

    /// Forgets those whom nobody can have missed.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.0.pop_front_if(|(left, _)| now.duration_since(*left) > KEPT).is_some() {}
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &proto::ParticipantInfo> {
        self.0.iter().map(|(_, gone)| gone)
    }
}
