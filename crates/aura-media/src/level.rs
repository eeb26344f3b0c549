//! Who is speaking: RFC 6464 levels smoothed into LiveKit's active-speaker rule.

use std::time::{Duration, Instant};

/// A speaker must be louder than this, in −dBov (RFC 6464: 0 is loudest, 127 silence).
const ACTIVE_LEVEL: u8 = 35;
/// …for this share of a window, in percent.
const MIN_PERCENT: u32 = 40;
/// Windows the level is smoothed over.
const SMOOTH_WINDOWS: f32 = 2.0;
/// How often levels are looked at.
pub const WINDOW: Duration = Duration::from_millis(400);
/// What one packet stands for when the stream does not say.
const PACKET: Duration = Duration::from_millis(20);

/// Level of one audio track.
#[derive(Debug, Clone, Default)]
pub struct AudioLevel {
    active_for: Duration,
    loudest: Option<u8>,
    smoothed: f32,
    window_ends: Option<Instant>,
}

impl AudioLevel {
    /// Counts one packet of `level` −dBov that arrived at `now`.
    pub fn observe(&mut self, now: Instant, level: u8) {
        self.window_ends.get_or_insert(now + WINDOW);
        if level <= ACTIVE_LEVEL {
            self.active_for += PACKET;
            self.loudest = Some(self.loudest.map_or(level, |loudest| loudest.min(level)));
        }
    }

    /// Closes the window if it is over. Returns the linear level, 0 to 1 in eighths; 0 means not speaking.
    pub fn level(&mut self, now: Instant) -> f32 {
        if self.window_ends.is_some_and(|end| now >= end) {
            let spoke_enough = self.active_for * 100 >= WINDOW * MIN_PERCENT;
            let target = match self.loudest {
                Some(loudest) if spoke_enough => linear(loudest),
                _ => 0.0,
            };
            self.smoothed += (target - self.smoothed) * (2.0 / (SMOOTH_WINDOWS + 1.0));
            self.active_for = Duration::ZERO;
            self.loudest = None;
            self.window_ends = Some(now + WINDOW);
        }
        let floor = linear(ACTIVE_LEVEL);
        if self.smoothed < floor { 0.0 } else { ((self.smoothed * 8.0).ceil() / 8.0).min(1.0) }
    }
}

/// −dBov to an amplitude between 0 and 1.
fn linear(level: u8) -> f32 {
    10_f32.powf(-f32::from(level) / 20.0)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    #[test]
    fn speech_is_active_silence_is_not_and_a_click_is_not() {
        let start = Instant::now();
        let mut speech = AudioLevel::default();
        let mut click = AudioLevel::default();
        for packet in 0..20_u32 {
            let now = start + PACKET * packet;
            speech.observe(now, 10);
            click.observe(now, if packet == 3 { 5 } else { 127 });
        }
        let end = start + WINDOW;
        assert!(speech.level(end) > 0.0);
        assert_eq!(click.level(end), 0.0);
        let mut now = end;
        for _ in 0..12 {
            speech.observe(now, 127);
            now += WINDOW;
            speech.level(now);
        }
        assert_eq!(speech.level(now), 0.0, "falls silent");
    }
}
