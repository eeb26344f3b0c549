//! Datagrams the kernel had no room for: kept for a moment and given up by worth.
//!
//! Bounded in bytes and age. What keeps connections alive (STUN, DTLS, RTCP) is kept longest and goes first, then audio;
//! video, which retransmission or the next keyframe mends, makes room for both. Within a class the order stays.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::batch::SendBatch;

/// What a datagram is worth when there is no room for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    /// Pictures, and everything else that is neither of the others.
    Video,
    Audio,
    /// STUN, DTLS, RTCP.
    Control,
}

impl Worth {
    /// Best first.
    const ALL: [Self; 3] = [Self::Control, Self::Audio, Self::Video];

    /// Of a datagram as it is sent (RFC 7983, RFC 5761). `audio` has the bits of audio's payload types.
    pub(crate) fn of(datagram: &[u8], audio: u128) -> Self {
        match datagram {
            [0..=3 | 20..=63, ..] | [128..=191, 192..=223, ..] => Self::Control,
            [128..=191, second, ..] if audio >> (second & 0x7f) & 1 == 1 => Self::Audio,
            _ => Self::Video,
        }
    }

    /// Later than this it is of no use: pictures are asked for again, a voice would be late, a check is repeated.
    const fn patience(self) -> Duration {
        match self {
            Self::Video => Duration::from_millis(50),
            Self::Audio => Duration::from_millis(100),
            Self::Control => Duration::from_millis(500),
        }
    }
}

/// Most bytes kept.
const MAX_BYTES: usize = 512 * 1024;

#[derive(Debug)]
struct Waiting {
    since: Instant,
    source: IpAddr,
    destination: SocketAddr,
    bytes: Box<[u8]>,
}

/// What waits for room in the socket.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    queues: [VecDeque<Waiting>; 3],
    bytes: usize,
    dropped: u64,
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// Datagrams given up since this was last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Takes a datagram, or gives it or others of less worth up.
    pub(crate) fn push(
        &mut self,
        worth: Worth,
        source: IpAddr,
        destination: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) {
        while self.bytes + bytes.len() > MAX_BYTES {
            // The oldest of what is worth least, of this one's worth at most.
            let least = Worth::ALL.into_iter().rev().find(|other| !self.queue(*other).is_empty());
            let victim =
                least.filter(|least| *least <= worth).and_then(|least| self.queue(least).pop_front());
            self.dropped += 1;
            match victim {
                Some(victim) => self.bytes -= victim.bytes.len(),
                None => return,
            }
        }
        self.bytes += bytes.len();
        self.queue(worth).push_back(Waiting { since: now, source, destination, bytes: bytes.into() });
    }

    /// Gives up what has waited too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        for worth in Worth::ALL {
            let old = |waiting: &Waiting| now.duration_since(waiting.since) > worth.patience();
            while let Some(gone) = self.queue(worth).pop_front_if(|waiting| old(waiting)) {
                self.bytes -= gone.bytes.len();
                self.dropped += 1;
            }
        }
    }

    /// Copies up to `count` datagrams, the best first, into a batch.
    pub(crate) fn fill(&self, batch: &mut SendBatch, count: usize) {
        let best_first = Worth::ALL.into_iter().flat_map(|worth| &self.queues[worth as usize]);
        for waiting in best_first.take(count) {
            batch.push_udp(waiting.source, waiting.destination, Worth::Control, &waiting.bytes);
        }
    }

    /// Forgets the first `count` of what [`fill`](Self::fill) gave: they are on their way.
    pub(crate) fn pop(&mut self, count: usize) {
        for _ in 0..count {
            let gone = Worth::ALL.into_iter().find_map(|worth| self.queue(worth).pop_front());
            self.bytes -= gone.map_or(0, |gone| gone.bytes.len());
        }
    }

    fn queue(&mut self, worth: Worth) -> &mut VecDeque<Waiting> {
        &mut self.queues[worth as usize]
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn push(backlog: &mut Backlog, worth: Worth, bytes: &[u8], now: Instant) {
        backlog.push(worth, HERE, SocketAddr::from(([127, 0, 0, 1], 9)), bytes, now);
    }

    /// The first byte of everything that waits, in the order it would be sent.
    fn waiting(backlog: &Backlog) -> Vec<u8> {
        let mut batch = SendBatch::default();
        backlog.fill(&mut batch, usize::MAX);
        batch.runs(false).iter().map(|run| batch.bytes()[run.start]).collect()
    }

    #[test]
    fn datagrams_are_told_apart_by_their_first_bytes() {
        let audio = 1_u128 << 111 | 1 << 63;
        let worth = |bytes: &[u8]| Worth::of(bytes, audio);
        assert_eq!(worth(&[0, 1]), Worth::Control, "STUN");
        assert_eq!(worth(&[22, 254]), Worth::Control, "DTLS");
        assert_eq!(worth(&[0x80, 200]), Worth::Control, "RTCP");
        assert_eq!(worth(&[0x90, 111]), Worth::Audio);
        assert_eq!(worth(&[0x90, 0x80 | 63]), Worth::Audio, "with a marker");
        assert_eq!(worth(&[0x90, 96]), Worth::Video);
        assert_eq!(worth(&[]), Worth::Video);
    }

    #[test]
    fn what_keeps_connections_alive_goes_first_and_in_order() {
        let now = Instant::now();
        let mut backlog = Backlog::default();
        let all = [
            (Worth::Video, 1),
            (Worth::Audio, 2),
            (Worth::Control, 3),
            (Worth::Audio, 4),
            (Worth::Control, 5),
        ];
        for (worth, byte) in all {
            push(&mut backlog, worth, &[byte], now);
        }
        assert_eq!(waiting(&backlog), [3, 5, 2, 4, 1]);
        backlog.pop(3);
        assert_eq!(waiting(&backlog), [4, 1]);
        backlog.pop(2);
        assert!(backlog.is_empty() && backlog.bytes == 0 && backlog.take_dropped() == 0);
    }

    #[test]
    fn video_makes_room_first_and_control_last() {
        let now = Instant::now();
        let mut backlog = Backlog::default();
        let quarter = |byte| vec![byte; MAX_BYTES / 4];
        for (worth, byte) in [(Worth::Control, 1), (Worth::Audio, 2), (Worth::Video, 3), (Worth::Video, 4)] {
            push(&mut backlog, worth, &quarter(byte), now);
        }
        push(&mut backlog, Worth::Video, &quarter(5), now);
        assert_eq!(waiting(&backlog), [1, 2, 4, 5], "the oldest picture");
        push(&mut backlog, Worth::Audio, &quarter(6), now);
        push(&mut backlog, Worth::Control, &quarter(7), now);
        assert_eq!(waiting(&backlog), [1, 7, 2, 6], "no picture is left");
        push(&mut backlog, Worth::Video, &quarter(8), now);
        assert_eq!(waiting(&backlog), [1, 7, 2, 6], "a picture takes nobody's place");
        push(&mut backlog, Worth::Control, &quarter(9), now);
        assert_eq!(waiting(&backlog), [1, 7, 9, 6]);
        assert_eq!(backlog.take_dropped(), 5);
    }

    #[test]
    fn nothing_waits_longer_than_it_is_of_use() {
        let now = Instant::now();
        let mut backlog = Backlog::default();
        for (worth, byte) in [(Worth::Control, 1), (Worth::Audio, 2), (Worth::Video, 3)] {
            push(&mut backlog, worth, &[byte], now);
        }
        let mut left = |ms| {
            backlog.expire(now + Duration::from_millis(ms));
            waiting(&backlog)
        };
        assert_eq!(left(50), [1, 2, 3]);
        assert_eq!(left(51), [1, 2]);
        assert_eq!(left(101), [1]);
        assert_eq!(left(501), [0; 0]);
        assert_eq!((backlog.bytes, backlog.take_dropped()), (0, 3));
    }

    proptest! {
        #[test]
        fn it_stays_bounded_and_counts_everything(
            steps in proptest::collection::vec((0..3_usize, 1..60_000_usize, 0..40_u64, 0..3_usize), 1..80),
        ) {
            let mut now = Instant::now();
            let mut backlog = Backlog::default();
            let (mut pushed, mut popped) = (0_u64, 0_u64);
            for (worth, len, wait, pop) in steps {
                now += Duration::from_millis(wait);
                push(&mut backlog, Worth::ALL[worth], &vec![0; len], now);
                pushed += 1;
                backlog.expire(now);
                let waits = waiting(&backlog).len();
                backlog.pop(pop);
                popped += pop.min(waits) as u64;
                let held: usize = backlog.queues.iter().flatten().map(|waiting| waiting.bytes.len()).sum();
                prop_assert!(held == backlog.bytes && held <= MAX_BYTES);
            }
            let waits = waiting(&backlog).len() as u64;
            prop_assert_eq!(pushed, popped + waits + backlog.take_dropped());
        }
    }
}
