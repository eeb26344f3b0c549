//! Opus for peers without AIC and while AIC is away: bitrate, packet length and protection by bandwidth and loss.
//!
//! What counts is the wire: at packets of 20 ms the headers of IPv4, UDP, RTP and SRTP alone take 20 kbit/s. So a
//! narrow link first gets longer packets, then fewer bits.

use super::{Mode, Reason};

/// Bytes of IPv4, UDP, RTP and SRTP around a payload.
const HEADERS: u32 = 20 + 8 + 12 + 10;
/// A better rung is taken only after it has fitted this long, so that the estimate's noise is not heard.
const CLIMB_MS: u64 = 5_000;

/// How Opus is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opus {
    /// Bits per second, without headers and redundancy.
    pub bitrate_bps: u32,
    /// Packet length: 20, 40 or 60 ms.
    pub ptime_ms: u16,
    /// In-band forward error correction.
    pub fec: bool,
    /// Copies of earlier packets after RFC 2198, 0–1.
    pub red: u8,
    /// What the encoder is told to expect, in percent.
    pub expected_loss: u8,
}

impl Opus {
    /// Bits per second on the wire.
    pub const fn wire_bps(self) -> u32 {
        let packets = 1_000 * HEADERS * 8 / self.ptime_ms as u32;
        // A redundant block has a header of four bytes, the primary one of one.
        let red = self.red as u32 * (self.bitrate_bps + 5 * 8 * 1_000 / self.ptime_ms as u32);
        self.bitrate_bps + packets + red
    }
}

/// Rungs, best first: bitrate and packet length. All are wideband or better: below 12 kbit/s Opus narrows the band by
/// itself unless told not to.
const RUNGS: [(u32, u16); 7] =
    [(32_000, 20), (24_000, 20), (20_000, 40), (16_000, 40), (12_000, 60), (9_000, 60), (6_000, 60)];

/// Chooses the rung.
#[derive(Clone, Debug)]
pub struct Ladder {
    rung: usize,
    fits_since_ms: Option<u64>,
    current: Opus,
}

impl Ladder {
    /// Starts at the mode's best rung.
    pub fn new(mode: Mode) -> Self {
        let rung = best(mode, None);
        Self { rung, fits_since_ms: None, current: setting(rung, 0.0) }
    }

    /// The choice now.
    pub fn current(&self) -> Opus {
        self.current
    }

    /// Takes why AIC is away, the loss, 0–1, and what the link carries (none: plenty).
    pub fn update(
        &mut self,
        now_ms: u64,
        mode: Mode,
        reason: Option<Reason>,
        loss: f32,
        available_bps: Option<u32>,
    ) -> Opus {
        let fits = |rung: usize| available_bps.is_none_or(|bps| setting(rung, loss).wire_bps() <= bps);
        let wanted = (best(mode, reason)..RUNGS.len()).find(|&rung| fits(rung)).unwrap_or(RUNGS.len() - 1);
        if wanted >= self.rung {
            self.rung = wanted;
            self.fits_since_ms = None;
        } else if now_ms >= *self.fits_since_ms.get_or_insert(now_ms) + CLIMB_MS {
            self.rung -= 1;
            self.fits_since_ms = Some(now_ms);
        }
        self.current = setting(self.rung, loss);
        if !fits(self.rung) {
            self.current.red = 0;
        }
        self.current
    }
}

/// Who wants to save gets no more than is needed: where AIC was left for its quality the sound is speech, and at 16 kbit/s
/// that scores 0.95; on the wire it then takes what AIC took.
fn best(mode: Mode, reason: Option<Reason>) -> usize {
    match (mode, reason) {
        (Mode::Adaptive, Some(Reason::Quality)) => 3,
        (Mode::Conservative | Mode::Adaptive, _) => 0,
        (Mode::Aggressive, _) => 4,
    }
}

/// Protection by loss: none below 1 %; in-band correction from 1 %, where there are bits for it; a whole copy from 8 %
/// where correction would take half of a small packet.
fn setting(rung: usize, loss: f32) -> Opus {
    let (bitrate_bps, ptime_ms) = RUNGS[rung];
    let fec = loss >= 0.01 && bitrate_bps >= 16_000;
    let red = u8::from(loss >= 0.08 || (loss >= 0.03 && !fec));
    Opus { bitrate_bps, ptime_ms, fec, red, expected_loss: (loss * 100.0).round().clamp(0.0, 50.0) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_on_thirty_kilobit_gets_a_call() {
        let mut ladder = Ladder::new(Mode::Adaptive);
        assert_eq!(ladder.current().wire_bps(), 52_000);
        let narrow = ladder.update(0, Mode::Adaptive, None, 0.0, Some(30_000));
        assert_eq!((narrow.bitrate_bps, narrow.ptime_ms), (20_000, 40));
        assert!(narrow.wire_bps() <= 30_000);
        let narrower = ladder.update(200, Mode::Adaptive, None, 0.0, Some(13_000));
        assert_eq!((narrower.bitrate_bps, narrower.ptime_ms), (6_000, 60));
    }

    #[test]
    fn climbs_one_rung_every_five_seconds() {
        let mut ladder = Ladder::new(Mode::Adaptive);
        ladder.update(0, Mode::Adaptive, None, 0.0, Some(10_000));
        let rates: Vec<_> = (0..200)
            .map(|tick| ladder.update(tick * 200, Mode::Adaptive, None, 0.0, None).bitrate_bps)
            .collect();
        assert_eq!(rates[24], 6_000);
        assert_eq!(rates[25], 9_000);
        assert_eq!(rates[50], 12_000);
        assert_eq!(rates[199], 32_000);
        assert!(rates.is_sorted());
    }

    #[test]
    fn speech_that_aic_codes_badly_still_saves_and_music_does_not() {
        let mut ladder = Ladder::new(Mode::Adaptive);
        let speech = ladder.update(0, Mode::Adaptive, Some(Reason::Quality), 0.0, None);
        assert_eq!((speech.bitrate_bps, speech.ptime_ms, speech.wire_bps()), (16_000, 40, 26_000));
        let mut ladder = Ladder::new(Mode::Adaptive);
        assert_eq!(ladder.update(0, Mode::Adaptive, Some(Reason::Content), 0.0, None).bitrate_bps, 32_000);
        let mut ladder = Ladder::new(Mode::Conservative);
        assert_eq!(
            ladder.update(0, Mode::Conservative, Some(Reason::Quality), 0.0, None).bitrate_bps,
            32_000
        );
    }

    #[test]
    fn protection_follows_loss_and_fits_the_link() {
        let mut ladder = Ladder::new(Mode::Adaptive);
        let some = ladder.update(0, Mode::Adaptive, None, 0.03, None);
        assert!(some.fec && some.red == 0 && some.expected_loss == 3);
        let much = ladder.update(0, Mode::Adaptive, None, 0.15, None);
        assert!(much.fec && much.red == 1);
        for bps in (14_000..120_000).step_by(1_000) {
            let chosen = Ladder::new(Mode::Adaptive).update(0, Mode::Adaptive, None, 0.15, Some(bps));
            assert!(chosen.wire_bps() <= bps, "{bps}: {chosen:?}");
        }
    }
}
