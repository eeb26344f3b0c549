//! Who left lately: told to those who come back, for the news may have gone into a connection that was dead already.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use livekit_protocol as proto;

/// Until a dead connection is noticed, and then until its participant is given up.
const KEPT: Duration = Duration::from_secs(90);
/// Most of them; the oldest go first.
const MAX: usize = 1_000;

/// Somebody who left.
#[derive(Debug)]
struct Gone {
    left_at: Instant,
    /// As others were told of it then.
    info: proto::ParticipantInfo,
    /// Others were told that it speaks, at one time or another.
    has_spoken: bool,
}

/// Oldest first.
#[derive(Debug, Default)]
pub(crate) struct GoneLately(VecDeque<Gone>);

impl GoneLately {
    pub(crate) fn push(&mut self, info: proto::ParticipantInfo, has_spoken: bool, now: Instant) {
        if self.0.len() >= MAX {
            self.0.pop_front();
        }
        self.0.push_back(Gone { left_at: now, info, has_spoken });
    }

    /// Forgets those whom nobody can have missed.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.0.pop_front_if(|gone| now.duration_since(gone.left_at) > KEPT).is_some() {}
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &proto::ParticipantInfo> {
        self.0.iter().map(|gone| &gone.info)
    }

    /// Those whom somebody may believe to be speaking still.
    pub(crate) fn speakers(&self) -> impl Iterator<Item = &proto::ParticipantInfo> {
        self.0.iter().filter(|gone| gone.has_spoken).map(|gone| &gone.info)
    }
}
