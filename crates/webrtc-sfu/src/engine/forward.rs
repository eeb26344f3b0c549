//! One subscriber's copy of one track: which layer it follows and how its packets are renumbered.
//!
//! Invariant: what the subscriber decodes is one unbroken stream. Layers change only at a keyframe of the new layer,
//! and the old one keeps flowing until that keyframe is there.

use std::time::{Duration, Instant};

use aura_media::layer::{Layer, best_live};
use aura_media::rewrite::{Numbers, Rewriter, Vp8Numbers};

/// A layer that sent nothing for this long is not worth waiting for.
const LAYER_SILENCE: Duration = Duration::from_millis(1_500);

/// What forwarding needs to know of an incoming packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming {
    pub(crate) at: Instant,
    pub(crate) layer: Layer,
    pub(crate) numbers: Numbers,
    pub(crate) vp8: Vp8Numbers,
    pub(crate) starts_keyframe: bool,
    pub(crate) clock_rate: u32,
}

/// When each layer of a track was last heard.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LayerActivity {
    last_packet: [Option<Instant>; 3],
}

impl LayerActivity {
    pub(crate) fn observe(&mut self, layer: Layer, now: Instant) {
        self.last_packet[layer.index()] = Some(now);
    }

    pub(crate) fn live(&self, now: Instant) -> [bool; 3] {
        self.last_packet.map(|last| last.is_some_and(|at| now.duration_since(at) < LAYER_SILENCE))
    }
}

/// Forwarding state of one (subscriber, track).
#[derive(Debug)]
pub(crate) struct DownTrack {
    rewriter: Rewriter,
    preferred: Option<Layer>,
    /// What the subscriber's downlink takes at most.
    cap: Layer,
    current: Option<Layer>,
    target: Option<Layer>,
    last_sent_at: Option<Instant>,
    is_video: bool,
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Drop,
    Forward(Numbers, Vp8Numbers),
}

impl DownTrack {
    pub(crate) fn new(is_video: bool, first_sequence: u16) -> Self {
        Self {
            rewriter: Rewriter::new(first_sequence),
            preferred: Some(Layer::High),
            cap: Layer::High,
            current: None,
            target: None,
            last_sent_at: None,
            is_video,
        }
    }

    /// The subscriber wants at most this layer, or nothing.
    pub(crate) fn prefer(&mut self, layer: Option<Layer>) {
        self.preferred = layer;
        if layer.is_none() {
            self.current = None;
            self.target = None;
            self.rewriter.unlatch();
        }
    }

    /// The subscriber's downlink takes no more than this.
    pub(crate) fn limit(&mut self, cap: Layer) {
        self.cap = cap;
    }

    /// The numbering of the source broke off: another stream took its place, or it was muted. What comes next continues
    /// where this copy is, video from a keyframe on.
    pub(crate) fn resync(&mut self) {
        self.current = None;
        self.rewriter.unlatch();
    }

    /// Whether what it follows now is `layer`.
    pub(crate) fn follows(&self, layer: Layer) -> bool {
        !self.is_video || self.current == Some(layer)
    }

    /// The layer this copy waits for a keyframe of, if any. Ask the publisher for one.
    pub(crate) fn awaits_keyframe_of(&self) -> Option<Layer> {
        self.target.filter(|target| Some(*target) != self.current)
    }

    /// The layer a keyframe request of the subscriber is about.
    pub(crate) fn followed_layer(&self) -> Option<Layer> {
        self.current.or(self.target)
    }

    /// Chooses the layer to go for, given which are alive. Returns the layer that needs a keyframe now.
    pub(crate) fn choose_layer(&mut self, live: [bool; 3]) -> Option<Layer> {
        let preferred = self.preferred?.min(self.cap);
        let best = best_live(live, preferred)?;
        if self.target != Some(best) {
            self.target = Some(best);
        }
        self.awaits_keyframe_of()
    }

    /// Decides about one packet and renumbers it.
    pub(crate) fn forward(&mut self, packet: &Incoming) -> Verdict {
        if self.preferred.is_none() {
            return Verdict::Drop;
        }
        if !self.is_video {
            return self.send(packet);
        }
        if self.current != Some(packet.layer) {
            let wanted = match self.target {
                Some(target) => target == packet.layer,
                // Nothing chosen yet: the first keyframe that is not above the preference will do.
                None => self.preferred.is_some_and(|preferred| packet.layer <= preferred),
            };
            if !(wanted && packet.starts_keyframe) {
                return Verdict::Drop;
            }
            self.current = Some(packet.layer);
            self.target = Some(packet.layer);
            self.rewriter.unlatch();
        }
        self.send(packet)
    }

    fn send(&mut self, packet: &Incoming) -> Verdict {
        let elapsed = self.last_sent_at.map_or(Duration::ZERO, |last| packet.at.duration_since(last));
        let ticks = elapsed.as_micros().saturating_mul(u128::from(packet.clock_rate)) / 1_000_000;
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX / 2);
        match self.rewriter.rewrite(packet.numbers, packet.vp8, ticks) {
            Some((numbers, vp8)) => {
                self.last_sent_at = Some(packet.at);
                Verdict::Forward(numbers, vp8)
            }
            None => Verdict::Drop,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    fn packet(layer: Layer, sequence: u64, starts_keyframe: bool) -> Incoming {
        Incoming {
            at: Instant::now(),
            layer,
            numbers: Numbers { sequence, timestamp: 0 },
            vp8: Vp8Numbers::default(),
            starts_keyframe,
            clock_rate: 90_000,
        }
    }

    fn sent(verdict: Verdict) -> Option<u64> {
        match verdict {
            Verdict::Forward(numbers, _) => Some(numbers.sequence),
            Verdict::Drop => None,
        }
    }

    #[test]
    fn the_old_layer_flows_until_the_new_one_has_a_keyframe() {
        let mut copy = DownTrack::new(true, 0);
        copy.choose_layer([true, false, false]);
        assert_eq!(sent(copy.forward(&packet(Layer::Low, 50, false))), None, "no keyframe yet");
        assert_eq!(sent(copy.forward(&packet(Layer::Low, 51, true))), Some(0));
        assert_eq!(copy.choose_layer([true, false, true]), Some(Layer::High), "asks for a keyframe");
        assert_eq!(sent(copy.forward(&packet(Layer::High, 900, false))), None);
        assert_eq!(sent(copy.forward(&packet(Layer::Low, 52, false))), Some(1), "old layer still flows");
        assert_eq!(sent(copy.forward(&packet(Layer::High, 901, true))), Some(2));
        assert_eq!(sent(copy.forward(&packet(Layer::Low, 53, false))), None);
        assert_eq!(copy.awaits_keyframe_of(), None);
    }

    #[test]
    fn a_stream_that_is_replaced_goes_on_without_gap_or_repeat() {
        let mut copy = DownTrack::new(true, 0);
        copy.choose_layer([true, false, false]);
        assert_eq!(sent(copy.forward(&packet(Layer::Low, 900, true))), Some(0));
        copy.resync();
        assert_eq!(sent(copy.forward(&packet(Layer::Low, 5, false))), None, "waits for a keyframe");
        assert_eq!(copy.choose_layer([true, false, false]), Some(Layer::Low), "and asks for one");
        assert_eq!(sent(copy.forward(&packet(Layer::Low, 6, true))), Some(1));
        let mut audio = DownTrack::new(false, 10);
        assert_eq!(sent(audio.forward(&packet(Layer::Low, 7, true))), Some(10));
        audio.resync();
        assert_eq!(sent(audio.forward(&packet(Layer::Low, 7_000, true))), Some(11));
    }

    #[test]
    fn a_paused_copy_forwards_nothing_and_resumes_at_a_keyframe() {
        let mut copy = DownTrack::new(true, 7);
        copy.choose_layer([true; 3]);
        assert_eq!(sent(copy.forward(&packet(Layer::High, 1, true))), Some(7));
        copy.prefer(None);
        assert_eq!(sent(copy.forward(&packet(Layer::High, 2, true))), None);
        copy.prefer(Some(Layer::Low));
        assert_eq!(copy.choose_layer([true; 3]), Some(Layer::Low));
        assert_eq!(sent(copy.forward(&packet(Layer::Low, 400, false))), None);
        assert_eq!(sent(copy.forward(&packet(Layer::Low, 401, true))), Some(8));
    }
}
