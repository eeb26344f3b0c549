//! Who receives a track, and at which layer, counted: what anyone watches is known without asking everyone.

use std::collections::{BTreeMap, BTreeSet};

use aura_media::layer::Layer;
use aura_types::ParticipantSid;

/// The subscribers of one track.
#[derive(Debug, Clone, Default)]
pub(crate) struct Audience {
    /// The layer each wants; `None` = paused.
    subscribers: BTreeMap<ParticipantSid, Option<Layer>>,
    /// How many want each layer.
    wanting: [usize; 3],
    /// Everyone with a choice or a setting about the track, subscribed or not.
    pub(crate) opinions: BTreeSet<ParticipantSid>,
}

impl Audience {
    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    pub(crate) fn subscribers(&self) -> impl Iterator<Item = &ParticipantSid> {
        self.subscribers.keys()
    }

    /// Adds a subscriber, or changes what it wants.
    pub(crate) fn set(&mut self, subscriber: &ParticipantSid, layer: Option<Layer>) {
        if let Some(before) = self.subscribers.insert(subscriber.clone(), layer) {
            self.uncount(before);
        }
        if let Some(layer) = layer {
            self.wanting[layer.index()] += 1;
        }
    }

    pub(crate) fn remove(&mut self, subscriber: &ParticipantSid) {
        if let Some(before) = self.subscribers.remove(subscriber) {
            self.uncount(before);
        }
    }

    /// The layers anyone watches, lowest first; whoever watches one needs those below to start from.
    pub(crate) fn watched(&self) -> [bool; 3] {
        let highest = Layer::ALL.into_iter().filter(|layer| self.wanting[layer.index()] > 0).max();
        Layer::ALL.map(|layer| highest.is_some_and(|highest| layer <= highest))
    }

    fn uncount(&mut self, layer: Option<Layer>) {
        if let Some(layer) = layer {
            self.wanting[layer.index()] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_layer_anyone_wants_is_watched_with_those_below() {
        let (alice, bob) = (ParticipantSid::generate(), ParticipantSid::generate());
        let mut audience = Audience::default();
        assert_eq!(audience.watched(), [false; 3]);
        audience.set(&alice, Some(Layer::Low));
        audience.set(&bob, Some(Layer::High));
        assert_eq!(audience.watched(), [true; 3]);
        audience.set(&bob, Some(Layer::Medium));
        assert_eq!(audience.watched(), [true, true, false]);
        audience.set(&bob, None);
        audience.remove(&alice);
        assert_eq!(audience.watched(), [false; 3]);
        assert_eq!(audience.subscribers().collect::<Vec<_>>(), [&bob], "paused is subscribed");
    }
}
