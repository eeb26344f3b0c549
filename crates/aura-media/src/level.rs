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
/// What a packet lasts while the stream has not shown it.
const FIRST_PACKET: Duration = Duration::from_millis(20);
/// The longest packet there is (RFC 6716 §2.1.4); what lies further apart has a pause between.
const LONGEST_PACKET: Duration = Duration::from_millis(120);
/// What comes later than this is not late: the stream's clock began anew.
const LATEST: Duration = Duration::from_secs(1);

/// Level of one audio track.
#[derive(Debug, Clone, Default)]
pub struct AudioLevel {
    active_for: Duration,
    loudest: Option<u8>,
    smoothed: f32,
    window_ends: Option<Instant>,
    last_timestamp: Option<u32>,
    packet: Option<Duration>,
}

impl AudioLevel {
    /// Counts one packet of `level` −dBov that arrived at `now`, by how long it lasts: RTP timestamps, in ticks of
    /// `clock_rate`, say so.
    pub fn observe(&mut self, now: Instant, timestamp: u32, clock_rate: u32, level: u8) {
        let lasts = self.lasts(timestamp, clock_rate);
        self.window_ends.get_or_insert(now + WINDOW);
        if level <= ACTIVE_LEVEL {
            self.active_for += lasts;
            self.loudest = Some(self.loudest.map_or(level, |loudest| loudest.min(level)));
        }
    }

    /// How long a packet lasts: as far as it is from the one before it. One after a pause, out of order, or the first
    /// lasts as long as the others did.
    fn lasts(&mut self, timestamp: u32, clock_rate: u32) -> Duration {
        if let Some(last) = self.last_timestamp {
            let ticks = timestamp.wrapping_sub(last);
            let apart = Duration::from_micros(u64::from(ticks) * 1_000_000 / u64::from(clock_rate.max(1)));
            if ticks > 0 && apart <= LONGEST_PACKET {
                self.packet = Some(apart);
            }
            let late = Duration::from_micros(
                u64::from(ticks.wrapping_neg()) * 1_000_000 / u64::from(clock_rate.max(1)),
            );
            if ticks > u32::MAX / 2 && late <= LATEST {
                return self.packet.unwrap_or(FIRST_PACKET);
            }
        }
        self.last_timestamp = Some(timestamp);
        self.packet.unwrap_or(FIRST_PACKET)
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

    const OPUS: u32 = 48_000;

    /// A minute of packets of `packet_ms`, of which `loud` says which are speech; how many windows were active, of how
    /// many.
    fn windows(packet_ms: u32, loud: impl Fn(u32) -> bool) -> (u32, u32) {
        let start = Instant::now();
        let (mut level, mut active, mut closed) = (AudioLevel::default(), 0, 0);
        let mut review = start + WINDOW;
        // Begins close to the wrap of RTP timestamps.
        let mut timestamp = u32::MAX - 10_000;
        for packet in 0..60_000 / packet_ms {
            let now = start + Duration::from_millis(u64::from(packet * packet_ms));
            while now >= review {
                active += u32::from(level.level(review) > 0.0);
                closed += 1;
                review += WINDOW;
            }
            level.observe(now, timestamp, OPUS, if loud(packet) { 20 } else { 90 });
            timestamp = timestamp.wrapping_add(packet_ms * OPUS / 1_000);
        }
        (active, closed)
    }

    const LENGTHS_MS: [u32; 5] = [20, 40, 60, 100, 120];

    #[test]
    fn speech_is_active_however_long_its_packets_are() {
        for packet_ms in LENGTHS_MS {
            let (active, closed) = windows(packet_ms, |_| true);
            assert_eq!(active, closed, "{packet_ms} ms");
        }
    }

    #[test]
    fn what_is_loud_too_seldom_is_not_active_however_long_its_packets_are() {
        for packet_ms in LENGTHS_MS {
            assert_eq!(windows(packet_ms, |_| false).0, 0, "{packet_ms} ms");
            // One loud packet in each 480 ms: 120 of 400 ms at most.
            assert_eq!(windows(packet_ms, |n| n % (480 / packet_ms) == 0).0, 0, "{packet_ms} ms");
        }
    }

    #[test]
    fn packets_after_a_pause_count_for_what_they_last() {
        let start = Instant::now();
        let mut level = AudioLevel::default();
        // 60 ms packets; then a pause of a second, in which nothing was sent, and one loud packet.
        for packet in 0..10_u32 {
            level.observe(start, packet * 2_880, OPUS, 127);
        }
        let after = start + WINDOW;
        assert_eq!(level.level(after), 0.0);
        level.observe(after, 10 * 2_880 + OPUS, OPUS, 5);
        assert_eq!(level.active_for, Duration::from_millis(60));
        level.observe(after, 9 * 2_880, OPUS, 5);
        assert_eq!(level.active_for, Duration::from_millis(120), "a late one too");
    }

    #[test]
    fn a_stream_that_begins_anew_at_a_lower_timestamp_is_measured_anew() {
        let now = Instant::now();
        let mut level = AudioLevel::default();
        for packet in 0..10_u32 {
            level.observe(now, 1_000_000 + packet * 960, OPUS, 127);
        }
        // Another source under the same track: packets of 60 ms, earlier on the clock.
        for packet in 0..10_u32 {
            level.observe(now, 5_000 + packet * 2_880, OPUS, 5);
        }
        assert_eq!(level.active_for, Duration::from_millis(20 + 9 * 60));
    }

    #[test]
    fn speech_is_active_silence_is_not_and_a_click_is_not() {
        let start = Instant::now();
        let mut speech = AudioLevel::default();
        let mut click = AudioLevel::default();
        for packet in 0..20_u32 {
            let now = start + FIRST_PACKET * packet;
            speech.observe(now, packet * 960, OPUS, 10);
            click.observe(now, packet * 960, OPUS, if packet == 3 { 5 } else { 127 });
        }
        let end = start + WINDOW;
        assert!(speech.level(end) > 0.0);
        assert_eq!(click.level(end), 0.0);
        let mut now = end;
        for step in 0..12_u32 {
            speech.observe(now, (20 + step) * 960, OPUS, 127);
            now += WINDOW;
            speech.level(now);
        }
        assert_eq!(speech.level(now), 0.0, "falls silent");
    }
}
