//! Mapping a publisher's wall clock to ours, so that its audio and video keep their distance at every receiver.

use std::time::{Duration, Instant};

/// A report this late is no delay: the publisher's clock was set back.
const RESTART: Duration = Duration::from_secs(1);
/// Share of a report's lateness the anchor takes on.
const FOLLOW: u32 = 64;

/// One publisher's clock, learnt from its sender reports (RFC 3550 §6.4.1) and shared by all its streams.
#[derive(Debug, Clone, Default)]
pub struct PublisherClock {
    /// A publisher NTP time and our instant for it.
    anchor: Option<(Duration, Instant)>,
}

/// A sender report of one stream.
#[derive(Debug, Clone, Copy)]
pub struct SenderReport {
    /// Publisher's NTP time, since any fixed epoch.
    pub ntp: Duration,
    /// RTP timestamp of that same moment.
    pub rtp_timestamp: u32,
}

impl PublisherClock {
    /// Learns from a report received at `received_at`.
    ///
    /// The anchor follows the *fastest* reports: network delay only ever adds. It moves for all streams alike, so
    /// their distance holds; slowly upwards, for a publisher whose clock runs behind ours.
    pub fn observe(&mut self, received_at: Instant, ntp: Duration) {
        let Some(predicted) = self.at(ntp) else {
            self.anchor = Some((ntp, received_at));
            return;
        };
        let late = received_at.saturating_duration_since(predicted);
        if late.is_zero() || late > RESTART {
            self.anchor = Some((ntp, received_at));
        } else {
            self.anchor = Some((ntp, predicted + late / FOLLOW));
        }
    }

    fn at(&self, ntp: Duration) -> Option<Instant> {
        let (anchor_ntp, anchor_instant) = self.anchor?;
        if ntp >= anchor_ntp {
            anchor_instant.checked_add(ntp - anchor_ntp)
        } else {
            anchor_instant.checked_sub(anchor_ntp - ntp)
        }
    }

    /// Our instant of a packet with `timestamp`, given the stream's latest report; `None` before the first.
    #[must_use]
    pub fn instant_of(&self, report: SenderReport, timestamp: u32, clock_rate: u32) -> Option<Instant> {
        let ticks = i64::from(timestamp.wrapping_sub(report.rtp_timestamp).cast_signed());
        let media = seconds(ticks.unsigned_abs(), clock_rate);
        let report_instant = self.at(report.ntp)?;
        if ticks >= 0 { report_instant.checked_add(media) } else { report_instant.checked_sub(media) }
    }
}

fn seconds(ticks: u64, clock_rate: u32) -> Duration {
    Duration::from_nanos(ticks.saturating_mul(1_000_000_000) / u64::from(clock_rate.max(1)))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    #[test]
    fn two_streams_of_one_publisher_agree_on_a_moment() {
        let start = Instant::now();
        let mut clock = PublisherClock::default();
        clock.observe(start, Duration::from_secs(100));
        let audio = SenderReport { ntp: Duration::from_secs(100), rtp_timestamp: 0 };
        let video = SenderReport { ntp: Duration::from_millis(100_500), rtp_timestamp: u32::MAX };
        let at_one_second = start + Duration::from_secs(1);
        assert_eq!(clock.instant_of(audio, 48_000, 48_000), Some(at_one_second));
        assert_eq!(clock.instant_of(video, 44_999, 90_000), Some(at_one_second), "across the wrap");
    }

    #[test]
    fn a_fast_report_corrects_the_anchor_and_a_slow_one_hardly_moves_it() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let late = Duration::from_millis(64);
        let mut clock = PublisherClock::default();
        clock.observe(start + late, second);
        clock.observe(start + second, second * 2);
        assert_eq!(clock.at(second * 2), Some(start + second), "the first report was the late one");
        clock.observe(start + second * 2 + late, second * 3);
        assert_eq!(clock.at(second * 3), Some(start + second * 2 + late / FOLLOW));
        clock.observe(start + second * 9, second * 3);
        assert_eq!(clock.at(second * 3), Some(start + second * 9), "a clock that was set back");
    }
}
