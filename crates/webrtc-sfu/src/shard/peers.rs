//! The shard's table of connections: their timers, and the drain after every touch.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::media::Mid;
use str0m::rtp::Ssrc;

use super::batch::SendBatch;
use super::fanout::{CopyId, Source, TrackId};
use crate::engine::congestion::Downlink;
use crate::transport::peer::Peer;
use crate::transport::{Datagram, PeerEvent, PeerId, SubscriberTransport, TransportError, guarded};

/// Deadlines are coalesced to this grid, so that a thousand connections do not wake the thread a thousand times.
const TIMER_GRID: Duration = Duration::from_millis(1);

/// A connection and what the shard keeps for it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) peer: Peer,
    deadline: Instant,
    scheduled: Option<Instant>,
    dirty: bool,
    /// Incoming streams by SSRC, learnt from the first packet.
    pub(crate) sources: HashMap<Ssrc, Source>,
    /// Published tracks by section.
    pub(crate) published: HashMap<Mid, TrackId>,
    /// Copies we send, by section.
    pub(crate) copies: HashMap<Mid, CopyId>,
    /// What its downlink takes.
    pub(crate) downlink: Downlink,
}

/// All connections of a shard.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    timers: BinaryHeap<Reverse<(Instant, PeerId)>>,
    dirty: Vec<PeerId>,
    pub(crate) events: VecDeque<(PeerId, PeerEvent)>,
    pub(crate) failed: Vec<(PeerId, String)>,
    scratch: Vec<PeerEvent>,
    pub(crate) batch: SendBatch,
}

impl Peers {
    pub(crate) fn insert(&mut self, peer: Peer, now: Instant) -> PeerId {
        let slot = Slot {
            peer,
            deadline: now,
            scheduled: None,
            dirty: false,
            sources: HashMap::new(),
            published: HashMap::new(),
            copies: HashMap::new(),
            downlink: Downlink::default(),
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(slot);
        let id = PeerId(index);
        self.touch(id);
        id
    }

    pub(crate) fn remove(&mut self, id: PeerId) -> Option<Slot> {
        let slot = self.slots.get_mut(id.0)?.take()?;
        self.free.push(id.0);
        // Whatever it still had to say is about a connection that is gone.
        self.events.retain(|(owner, _)| *owner != id);
        self.dirty.retain(|owner| *owner != id);
        Some(slot)
    }

    pub(crate) fn get(&self, id: PeerId) -> Option<&Slot> {
        self.slots.get(id.0)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: PeerId) -> Option<&mut Slot> {
        self.slots.get_mut(id.0)?.as_mut()
    }

    pub(crate) fn ids(&self) -> Vec<PeerId> {
        (0..self.slots.len()).filter(|index| self.slots[*index].is_some()).map(PeerId).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The connection was changed and must be drained before the turn ends.
    pub(crate) fn touch(&mut self, id: PeerId) {
        if let Some(slot) = self.get_mut(id)
            && !std::mem::replace(&mut slot.dirty, true)
        {
            self.dirty.push(id);
        }
    }

    /// Feeds a datagram and drains.
    pub(crate) fn receive(
        &mut self,
        id: PeerId,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        tcp: bool,
        bytes: &[u8],
    ) {
        let datagram = Datagram { source, destination, tcp, bytes };
        self.drive(id, |peer| peer.on_datagram(now, datagram));
    }

    /// Drains everything that was touched. Events may touch more; the caller repeats until none are left.
    pub(crate) fn drain_dirty(&mut self, now: Instant) {
        while let Some(id) = self.dirty.pop() {
            self.drive(id, |peer| peer.on_timer(now));
        }
    }

    /// Runs the timers that are due.
    pub(crate) fn run_timers(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            let Some(slot) = self.get_mut(id).filter(|slot| slot.scheduled == Some(at)) else { continue };
            slot.scheduled = None;
            if slot.deadline <= now {
                self.drive(id, |peer| peer.on_timer(now));
            } else {
                self.schedule(id);
            }
        }
    }

    /// When the next timer is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Lets `change` work on a connection, guarded; a connection it fails on is given up.
    pub(crate) fn change<T>(
        &mut self,
        id: PeerId,
        change: impl FnOnce(&mut Peer) -> Result<T, TransportError>,
    ) -> Option<T> {
        let slot = self.slots.get_mut(id.0)?.as_mut()?;
        let outcome = guarded(|| change(&mut slot.peer));
        self.touch(id);
        outcome.map_err(|error| self.failed.push((id, error.to_string()))).ok()
    }

    fn drive(&mut self, id: PeerId, input: impl FnOnce(&mut Peer) -> Result<(), TransportError>) {
        let Some(slot) = self.slots.get_mut(id.0).and_then(Option::as_mut) else { return };
        slot.dirty = false;
        let (batch, scratch) = (&mut self.batch, &mut self.scratch);
        let outcome = guarded(|| {
            input(&mut slot.peer)?;
            slot.peer.drain(batch, scratch)
        });
        self.events.extend(self.scratch.drain(..).map(|event| (id, event)));
        match outcome {
            Ok(deadline) => {
                slot.deadline = deadline;
                self.schedule(id);
            }
            Err(error) => self.failed.push((id, error.to_string())),
        }
    }

    /// Keeps one timer per connection, never later than its deadline.
    fn schedule(&mut self, id: PeerId) {
        let Some(slot) = self.slots.get_mut(id.0).and_then(Option::as_mut) else { return };
        let at = slot.deadline + TIMER_GRID;
        if slot.scheduled.is_none_or(|scheduled| at + TIMER_GRID < scheduled) {
            slot.scheduled = Some(at);
            self.timers.push(Reverse((at, id)));
        }
    }
}
