//! Which track has which media section of a connection, and which section may take the next one.
//!
//! Invariant: what a client has heard of as one track stays one track. A section that carried a track is described as
//! inactive before it carries another, and that other one comes with an SSRC of its own: clients that see another
//! track in a section which never stopped sending, or under an SSRC they have forgotten, decode it and show nothing.

use std::collections::{HashMap, HashSet};

use aura_media::MediaKind;
use aura_types::TrackSid;
use str0m::media::Mid;

use crate::transport::Assignment;
use crate::transport::sdp::{self, OfferedSection, SectionText};

/// One media section of the connection.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) mid: Mid,
    kind: MediaKind,
    /// The client publishes on it.
    pub(super) client_sends: bool,
    pub(super) stopped: bool,
    pub(super) assigned: Option<Assignment>,
    /// The last description that the client can have seen says that we send on it.
    pub(super) announced: bool,
    /// It has carried a track of ours.
    used: bool,
    /// The stream of the track it carried last is still there.
    stale: bool,
}

/// The sections of a connection and the tracks without one.
#[derive(Debug)]
pub(super) struct Sections {
    pub(super) list: Vec<Section>,
    pub(super) waiting: Vec<Assignment>,
    /// Tracks whose section is negotiated: forwarding may run.
    live: HashMap<TrackSid, Mid>,
    /// Whether a section may carry one track after another.
    pub(super) reuse: bool,
}

impl Default for Sections {
    fn default() -> Self {
        Self { list: Vec::new(), waiting: Vec::new(), live: HashMap::new(), reuse: true }
    }
}

impl Sections {
    /// Wants a section for the track; false when it has, or awaits, one already.
    pub(super) fn attach(&mut self, assignment: Assignment) -> bool {
        let known = self.waiting.iter().any(|waiting| waiting.track == assignment.track)
            || self.list.iter().any(|section| section.holds(&assignment.track));
        if !known {
            self.waiting.push(assignment);
        }
        !known
    }

    /// Gives the track's section up; false when it had none.
    pub(super) fn detach(&mut self, track: &TrackSid) -> bool {
        self.waiting.retain(|waiting| waiting.track != *track);
        self.live.remove(track);
        let section = self.list.iter_mut().find(|section| section.holds(track));
        section.and_then(Section::release).is_some()
    }

    pub(super) fn live(&self, track: &TrackSid) -> Option<Mid> {
        self.live.get(track).copied()
    }

    /// Brings the sections in line with a client's offer, in its order.
    pub(super) fn take_offered(&mut self, offered: &[OfferedSection]) {
        let mut before = std::mem::take(&mut self.list);
        for section in offered {
            let Some(kind) = section.kind else { continue };
            let mid = Mid::from(section.mid.as_str());
            let known = before.iter().position(|known| known.mid == mid).map(|at| before.swap_remove(at));
            let mut now = known.unwrap_or_else(|| Section::new(mid, kind));
            now.client_sends = section.client_sends;
            // An inactive section of the client's takes nothing from us, but may come back.
            now.stopped = section.stopped || !(section.client_sends || section.client_receives);
            if now.stopped || now.client_sends || !section.client_receives {
                self.waiting.extend(now.release());
            }
            self.list.push(now);
        }
        self.waiting.extend(before.into_iter().filter_map(|section| section.assigned));
    }

    /// Puts waiting tracks on sections that can take them. Answers which sections those are.
    pub(super) fn place_waiting(&mut self) -> Vec<Mid> {
        let mut placed = Vec::new();
        let reuse = self.may_reuse();
        for assignment in std::mem::take(&mut self.waiting) {
            match self.list.iter_mut().find(|section| section.takes(assignment.kind, reuse)) {
                Some(section) => {
                    placed.push(section.mid);
                    section.assign(assignment);
                }
                None => self.waiting.push(assignment),
            }
        }
        placed
    }

    /// A section of ours, for one track.
    pub(super) fn add(&mut self, mid: Mid, assignment: Assignment) {
        let mut section = Section::new(mid, assignment.kind);
        section.assign(assignment);
        self.list.push(section);
    }

    /// Mixed up is better than black for good: where no section can be added, every client takes one again.
    fn may_reuse(&self) -> bool {
        self.reuse || self.room_left() == 0
    }

    /// How many sections of a kind the waiting tracks lack.
    pub(super) fn missing(&self, kind: MediaKind) -> usize {
        let wanted = self.waiting.iter().filter(|waiting| waiting.kind == kind).count();
        wanted
            .saturating_sub(self.list.iter().filter(|section| section.takes(kind, self.may_reuse())).count())
    }

    /// Whether another description, without a further section, changes anything.
    pub(super) fn awaits_description(&self) -> bool {
        let placeable = |waiting: &Assignment| {
            self.list.iter().any(|section| section.takes(waiting.kind, self.may_reuse()))
        };
        let released = |section: &Section| section.announced && section.assigned.is_none();
        self.waiting.iter().any(placeable) || self.list.iter().any(released)
    }

    /// How many more sections a description may have, one of them being for data.
    pub(super) fn room_left(&self) -> usize {
        (sdp::MAX_SECTIONS - 1).saturating_sub(self.list.len())
    }

    /// Released sections whose old stream is still there; they count as renewed from now on.
    pub(super) fn take_stale(&mut self) -> Vec<Mid> {
        let stale = self.list.iter_mut().filter(|section| section.stale && section.assigned.is_none());
        stale
            .map(|section| {
                section.stale = false;
                section.mid
            })
            .collect()
    }

    pub(super) fn refresh_live(&mut self) {
        let held = self.list.iter().filter(|section| section.announced);
        self.live = held
            .filter_map(|section| Some((section.assigned.as_ref()?.track.clone(), section.mid)))
            .collect();
    }

    /// What a description that the client is about to see says of our sending.
    pub(super) fn announce(&mut self, sending: &HashSet<Mid>) {
        for section in &mut self.list {
            section.announced = sending.contains(&section.mid);
        }
    }

    /// An offer was abandoned: sections the connection does not know yet go back to waiting.
    pub(super) fn withdraw_unconfirmed(&mut self, is_confirmed: impl Fn(Mid) -> bool) {
        let (confirmed, lost): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.list).into_iter().partition(|section| is_confirmed(section.mid));
        self.list = confirmed;
        self.waiting.extend(lost.into_iter().filter_map(|section| section.assigned));
    }
}

impl Section {
    fn new(mid: Mid, kind: MediaKind) -> Self {
        Self {
            mid,
            kind,
            client_sends: false,
            stopped: false,
            assigned: None,
            announced: false,
            used: false,
            stale: false,
        }
    }

    fn assign(&mut self, assignment: Assignment) {
        self.assigned = Some(assignment);
        self.used = true;
        self.stale = true;
    }

    fn release(&mut self) -> Option<Assignment> {
        self.assigned.take()
    }

    fn takes(&self, kind: MediaKind, reuse: bool) -> bool {
        self.kind == kind
            && !self.client_sends
            && !self.stopped
            && self.assigned.is_none()
            && !self.announced
            && (reuse || !self.used)
    }

    fn holds(&self, track: &TrackSid) -> bool {
        self.assigned.as_ref().is_some_and(|assigned| assigned.track == *track)
    }

    pub(super) fn text(&self) -> SectionText {
        self.assigned.as_ref().map_or(SectionText::Idle, |assigned| SectionText::Send {
            stream_id: assigned.stream_id.clone(),
            track_id: assigned.track.to_string(),
        })
    }
}
