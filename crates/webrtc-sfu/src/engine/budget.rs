//! How many bytes the bearer of a token may send through data channels: all its connections together, and coming back
//! makes it no more.
//!
//! One allowance for what must arrive and one for what may be lost, so that a flood of the latter costs only itself.
//! Both are far above what honest clients send: they bound what one sender can make the server copy to everyone.
//! What exceeds them is dropped and counted, never delayed: the sender's own flow control ends at the server.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aura_types::ParticipantSid;

use super::DataChannel;
use super::data::DataRefusal;
use super::room::Room;

pub(crate) const MIB: u64 = 1024 * 1024;

/// The allowances of one sender.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    reliable: Bucket,
    lossy: Bucket,
}

impl Budgets {
    /// `_reliable`, and channels the protocol does not name.
    const RELIABLE: Rate = Rate { bytes_per_s: 16 * MIB, burst_bytes: 32 * MIB };
    /// `_lossy` and `_data_track` together.
    const LOSSY: Rate = Rate { bytes_per_s: 4 * MIB, burst_bytes: 4 * MIB };

    pub(crate) fn spend(&mut self, channel: DataChannel, bytes: usize, now: Instant) -> bool {
        match channel {
            DataChannel::Reliable => self.reliable.take(&Self::RELIABLE, bytes, now),
            DataChannel::Lossy => self.lossy.take(&Self::LOSSY, bytes, now),
        }
    }

    fn is_full(&self, now: Instant) -> bool {
        self.reliable.is_full(now) && self.lossy.is_full(now)
    }
}

/// Those of a room, by whose token it is ([`Participant::holder`](super::participant::Participant::holder)). Who is not
/// named has all of it.
pub(crate) type BudgetsByHolder = HashMap<String, Budgets>;

impl Room {
    /// Takes a message from its sender's allowance, before anything else is done with it.
    pub(crate) fn spend(
        &mut self,
        from: &ParticipantSid,
        channel: DataChannel,
        bytes: usize,
        now: Instant,
    ) -> Result<(), DataRefusal> {
        let sender = self.participants.get(from).ok_or(DataRefusal::NotAllowed)?;
        let budgets = match self.budgets.get_mut(&sender.holder) {
            Some(budgets) => budgets,
            None => self.budgets.entry(sender.holder.clone()).or_default(),
        };
        if budgets.spend(channel, bytes, now) { Ok(()) } else { Err(DataRefusal::OverBudget) }
    }

    /// Forgets those that are full again.
    pub(crate) fn forget_full_budgets(&mut self, now: Instant) {
        self.budgets.retain(|_, budgets| !budgets.is_full(now));
    }
}

/// How fast a bucket fills, and how much it holds.
#[derive(Debug)]
pub(crate) struct Rate {
    pub(crate) bytes_per_s: u64,
    pub(crate) burst_bytes: u64,
}

impl Rate {
    fn time_of(&self, bytes: u64) -> Duration {
        Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.bytes_per_s)
    }
}

/// A bucket that refills at a steady rate, kept as the moment at which it will be full (GCRA).
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes the bytes, or nothing when there are fewer.
    pub(crate) fn take(&mut self, rate: &Rate, bytes: usize, now: Instant) -> bool {
        let start = self.full_at.map_or(now, |at| at.max(now));
        let full_at = start + rate.time_of(u64::try_from(bytes).unwrap_or(u64::MAX / 2));
        let fits = full_at.duration_since(now) <= rate.time_of(rate.burst_bytes);
        if fits {
            self.full_at = Some(full_at);
        }
        fits
    }

    fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|at| at <= now)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    const RATE: Rate = Rate { bytes_per_s: 1_000, burst_bytes: 500 };

    #[test]
    fn a_burst_passes_and_the_rest_at_the_rate() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        assert!(bucket.take(&RATE, 500, start));
        assert!(!bucket.take(&RATE, 1, start));
        let passed =
            (1..=2_000_u64).filter(|ms| bucket.take(&RATE, 100, start + Duration::from_millis(*ms))).count();
        assert_eq!(passed, 20, "1000 bytes a second for two seconds");
    }

    #[test]
    fn what_never_fits_takes_nothing() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        assert!(!bucket.take(&RATE, 501, start));
        assert!(!bucket.take(&RATE, usize::MAX, start));
        assert!(bucket.take(&RATE, 500, start));
    }

    #[test]
    fn silence_saves_no_more_than_a_burst() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        assert!(bucket.take(&RATE, 500, start));
        let later = start + Duration::from_secs(60);
        assert!(bucket.take(&RATE, 500, later));
        assert!(!bucket.take(&RATE, 1, later));
    }

    #[test]
    fn a_flood_of_lossy_data_leaves_the_reliable_allowance() {
        let (mut budgets, now) = (Budgets::default(), Instant::now());
        while budgets.spend(DataChannel::Lossy, 60_000, now) {}
        assert!(budgets.spend(DataChannel::Reliable, 60_000, now));
    }
}
