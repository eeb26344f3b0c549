//! Data-track packets that wait for a subscriber's channel, and how much the channel may hold.
//!
//! Late is lost: what waits longer than [`MAX_AGE`] is dropped, and when the queue is full the oldest makes room, so that
//! a receiver behind a thin link hears the present with gaps and never the past. What was handed to SCTP can no longer be
//! taken back; [`Window`] keeps that to about a quarter second of what the link was seen to take.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes that may wait.
const MAX_BYTES: usize = 64 * 1024;
/// How long a packet may wait.
const MAX_AGE: Duration = Duration::from_millis(100);

/// What waits, oldest first.
#[derive(Debug, Default)]
pub(crate) struct TrackQueue {
    packets: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    pub(crate) dropped: u64,
}

impl TrackQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Queues a packet; the oldest make room for it.
    pub(crate) fn push(&mut self, now: Instant, packet: Vec<u8>) {
        while !self.is_empty() && self.bytes + packet.len() > MAX_BYTES {
            self.pop();
            self.dropped += 1;
        }
        self.bytes += packet.len();
        self.packets.push_back((now, packet));
    }

    /// The next packet that is still worth sending.
    pub(crate) fn next(&mut self, now: Instant) -> Option<&[u8]> {
        while self.packets.front().is_some_and(|(since, _)| now.duration_since(*since) > MAX_AGE) {
            self.pop();
            self.dropped += 1;
        }
        self.packets.front().map(|(_, packet)| packet.as_slice())
    }

    /// Takes what [`next`](Self::next) showed.
    pub(crate) fn pop(&mut self) {
        if let Some((_, packet)) = self.packets.pop_front() {
            self.bytes -= packet.len();
        }
    }
}

/// How many bytes the channel may hold that the receiver has not confirmed.
#[derive(Debug)]
pub(crate) struct Window {
    bytes: usize,
    written: usize,
    /// Beginning of the measurement under way, and what was confirmed by then.
    since: Option<(Instant, usize)>,
    was_full: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self { bytes: Self::MOST, written: 0, since: None, was_full: false }
    }
}

impl Window {
    const LEAST: usize = 8 * 1024;
    const MOST: usize = 64 * 1024;
    /// The window is what the link takes in this time, which must exceed its round trip.
    const TIME: Duration = Duration::from_millis(250);
    const MEASURE: Duration = Duration::from_millis(200);

    /// Half of the window having drained is worth being woken for.
    pub(crate) fn wake_at(&self) -> usize {
        self.bytes / 2
    }

    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// Whether the channel, which holds `held` bytes now, may take more.
    pub(crate) fn is_open(&mut self, held: usize, now: Instant) -> bool {
        let confirmed = self.written.saturating_sub(held);
        let (since, before) = *self.since.get_or_insert((now, confirmed));
        let time = now.duration_since(since);
        if time >= Self::MEASURE {
            if self.was_full {
                // Only a link that was kept busy shows what it takes.
                let share = Self::TIME.as_secs_f64() / time.as_secs_f64();
                let taken = (confirmed.saturating_sub(before) as f64 * share) as usize;
                self.bytes = taken.clamp(Self::LEAST, Self::MOST);
            }
            (self.since, self.was_full) = (Some((now, confirmed)), false);
        }
        let open = held < self.bytes;
        self.was_full |= !open;
        open
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let (mut queue, now) = (TrackQueue::default(), Instant::now());
        for number in 0..100_u8 {
            queue.push(now, vec![number; 1_000]);
        }
        assert_eq!(queue.dropped, 35, "65 packets fit");
        assert_eq!(queue.next(now).unwrap()[0], 35);
        queue.push(now, vec![0; 70_000]);
        assert_eq!(queue.next(now).unwrap().len(), 70_000, "one packet always fits");
    }

    #[test]
    fn the_late_are_dropped() {
        let (mut queue, start) = (TrackQueue::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        queue.push(at(0), vec![1]);
        queue.push(at(60), vec![2]);
        assert_eq!(queue.next(at(100)), Some(&[1][..]));
        assert_eq!(queue.next(at(101)), Some(&[2][..]));
        queue.pop();
        assert_eq!(queue.next(at(101)), None);
        assert_eq!((queue.dropped, queue.bytes), (1, 0));
    }

    /// Writes all it may to a link of this speed and round trip for `seconds`; the window at the end.
    fn window_of(bytes_per_s: usize, round_trip: Duration, seconds: u64) -> usize {
        let (mut window, start) = (Window::default(), Instant::now());
        let mut flying: VecDeque<(Instant, usize)> = VecDeque::new();
        let (mut held, mut link_free) = (0, start);
        for ms in 0..seconds * 1_000 {
            let now = start + Duration::from_millis(ms);
            while let Some((arrives, bytes)) = flying.front().copied()
                && arrives <= now
            {
                flying.pop_front();
                held -= bytes;
            }
            while window.is_open(held, now) {
                let bytes = 1_000;
                link_free = link_free.max(now) + Duration::from_secs_f64(bytes as f64 / bytes_per_s as f64);
                flying.push_back((link_free + round_trip, bytes));
                held += bytes;
                window.wrote(bytes);
            }
        }
        window.bytes
    }

    #[test]
    fn the_window_is_what_the_link_takes_in_a_quarter_second() {
        let round_trip = Duration::from_millis(40);
        assert_eq!(window_of(10_000_000, round_trip, 5), Window::MOST, "a fast link is never limited");
        let slow = window_of(100_000, round_trip, 5);
        assert!((20_000..30_000).contains(&slow), "{slow}");
        assert_eq!(window_of(2_000, round_trip, 5), Window::LEAST);
    }

    #[test]
    fn an_idle_channel_keeps_its_window() {
        let (mut window, start) = (Window::default(), Instant::now());
        for ms in 0..10_000 {
            assert!(window.is_open(0, start + Duration::from_millis(ms)));
            window.wrote(1);
        }
        assert_eq!(window.bytes, Window::MOST);
    }
}
