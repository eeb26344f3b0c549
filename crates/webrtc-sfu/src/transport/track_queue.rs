//! Data-track packets that wait for a subscriber's channel, and how much the channel may hold.
//!
//! A frame is worth something only when all of its packets arrive, so frames are dropped whole. Late is lost: a frame
//! that waited longer than [`MAX_AGE`] before its first packet could leave is dropped, and when the queue is full the
//! oldest that has not begun makes room. One that has begun is finished, so that a receiver behind a thin link gets whole
//! frames of the present with gaps between them, never halves. What was handed to SCTP can no longer be taken back;
//! [`Window`] keeps that to about a quarter second of what the link was seen to take.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use aura_media::data_track::Header;

/// Bytes that may wait: half of the largest frame our own client sends.
const MAX_BYTES: usize = 1024 * 1024;
/// Packets that may wait; clients fill theirs with 16 kB.
const MAX_PACKETS: usize = 512;
/// How long a frame may wait before it begins.
const MAX_AGE: Duration = Duration::from_millis(100);
/// How long a packet of a frame that has begun may wait.
const MAX_AGE_BEGUN: Duration = Duration::from_secs(2);
/// Frames remembered as begun, and as broken. Only tracks that interleave need more than one.
const MAX_FRAMES: usize = 16;

/// A frame on its way to one subscriber: handle and frame number.
type FrameId = (u16, u16);

/// The newest frames of some kind.
#[derive(Debug, Default)]
struct Frames(VecDeque<FrameId>);

impl Frames {
    fn has(&self, frame: FrameId) -> bool {
        self.0.contains(&frame)
    }

    fn add(&mut self, frame: FrameId) {
        if !self.has(frame) {
            self.0.truncate(MAX_FRAMES - 1);
            self.0.push_front(frame);
        }
    }

    fn remove(&mut self, frame: FrameId) {
        self.0.retain(|other| *other != frame);
    }
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    frame: FrameId,
    last: bool,
    packet: Vec<u8>,
}

/// What waits, oldest first.
#[derive(Debug, Default)]
pub(crate) struct TrackQueue {
    packets: VecDeque<Waiting>,
    bytes: usize,
    /// Frames of which a packet was written and the last was not.
    begun: Frames,
    /// Frames of which a packet was dropped and the last is still to come.
    broken: Frames,
    pub(crate) dropped: u64,
}

impl TrackQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Whether a packet that comes now belongs to a frame that can still be whole; counts it if not.
    pub(crate) fn accepts(&mut self, header: &Header) -> bool {
        let frame = frame(header);
        let is_broken = self.broken.has(frame);
        if is_broken {
            self.dropped += 1;
            if header.last {
                self.broken.remove(frame);
            }
        }
        !is_broken
    }

    /// Queues a packet; frames that have not begun make room for it, the oldest first.
    pub(crate) fn push(&mut self, now: Instant, header: &Header, packet: &[u8]) {
        while !self.is_empty() && (self.bytes + packet.len() > MAX_BYTES || self.packets.len() >= MAX_PACKETS)
        {
            let oldest = self.packets.iter().map(|waiting| waiting.frame).find(|id| !self.begun.has(*id));
            let victim = oldest.unwrap_or_else(|| frame(header));
            self.give_up(victim);
            if victim == frame(header) {
                return self.drop_packet(header);
            }
        }
        self.bytes += packet.len();
        let (frame, last) = (frame(header), header.last);
        self.packets.push_back(Waiting { since: now, frame, last, packet: packet.to_vec() });
    }

    /// The next packet that is still worth sending.
    pub(crate) fn next(&mut self, now: Instant) -> Option<&[u8]> {
        while let Some(Waiting { since, frame, .. }) = self.packets.front() {
            let limit = if self.begun.has(*frame) { MAX_AGE_BEGUN } else { MAX_AGE };
            if now.duration_since(*since) <= limit {
                break;
            }
            self.give_up(*frame);
        }
        self.packets.front().map(|waiting| waiting.packet.as_slice())
    }

    /// Takes what [`next`](Self::next) showed, which was written.
    pub(crate) fn wrote_next(&mut self) {
        if let Some(Waiting { frame, last, packet, .. }) = self.packets.pop_front() {
            self.bytes -= packet.len();
            self.note_written(frame, last);
        }
    }

    /// Takes what [`next`](Self::next) showed, which can never be written.
    pub(crate) fn refused_next(&mut self) {
        if let Some(frame) = self.packets.front().map(|waiting| waiting.frame) {
            self.give_up(frame);
        }
    }

    /// A packet was written past the empty queue.
    pub(crate) fn wrote(&mut self, header: &Header) {
        self.note_written(frame(header), header.last);
    }

    /// A packet that was not queued is lost, and its frame with it.
    pub(crate) fn drop_packet(&mut self, header: &Header) {
        self.dropped += 1;
        self.begun.remove(frame(header));
        if !header.last {
            self.broken.add(frame(header));
        }
    }

    fn note_written(&mut self, frame: FrameId, last: bool) {
        if last {
            self.begun.remove(frame);
        } else {
            self.begun.add(frame);
        }
    }

    /// Drops what waits of a frame, and whatever of it is still to come.
    fn give_up(&mut self, frame: FrameId) {
        let (mut complete, before) = (false, self.packets.len());
        self.packets.retain(|waiting| {
            let goes = waiting.frame == frame;
            if goes {
                complete |= waiting.last;
                self.bytes -= waiting.packet.len();
            }
            !goes
        });
        self.dropped += (before - self.packets.len()) as u64;
        self.begun.remove(frame);
        if !complete {
            self.broken.add(frame);
        }
    }
}

fn frame(header: &Header) -> FrameId {
    (header.handle, header.frame)
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
        Self { bytes: Self::FIRST, written: 0, since: None, was_full: false }
    }
}

impl Window {
    const LEAST: usize = 8 * 1024;
    /// What a link gets before it has shown what it takes.
    const FIRST: usize = 64 * 1024;
    const MOST: usize = 512 * 1024;
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

    /// A packet of a frame of `count`, by its index.
    fn header(frame: u16, index: usize, count: usize) -> Header {
        let (first, last) = (index == 0, index + 1 == count);
        Header { first, last, handle: 1, sequence: 0, frame, timestamp: 0 }
    }

    /// Queues a frame of `count` packets of `bytes` each.
    fn push(queue: &mut TrackQueue, now: Instant, frame: u16, count: usize, bytes: usize) {
        for index in 0..count {
            let header = header(frame, index, count);
            if queue.accepts(&header) {
                queue.push(now, &header, &vec![frame as u8; bytes]);
            }
        }
    }

    /// Writes all that may be written; how many packets of each frame.
    fn write(queue: &mut TrackQueue, now: Instant, packets: usize) -> Vec<(u8, usize)> {
        let mut written: Vec<(u8, usize)> = Vec::new();
        for _ in 0..packets {
            let Some(frame) = queue.next(now).map(|packet| packet[0]) else { break };
            queue.wrote_next();
            match written.last_mut() {
                Some((last, count)) if *last == frame => *count += 1,
                _ => written.push((frame, 1)),
            }
        }
        written
    }

    #[test]
    fn the_oldest_frames_make_room_whole() {
        let (mut queue, now) = (TrackQueue::default(), Instant::now());
        for frame in 0..10 {
            push(&mut queue, now, frame, 13, 16_000);
        }
        // Five frames fit, and the newest are kept.
        let kept: Vec<_> = (5..10).map(|frame| (frame, 13)).collect();
        assert_eq!(write(&mut queue, now, 1_000), kept);
        assert_eq!((queue.dropped, queue.bytes), (5 * 13, 0));
        push(&mut queue, now, 20, 1, 2 * MAX_BYTES);
        assert_eq!(write(&mut queue, now, 1_000), [(20, 1)], "one packet always fits");
        for frame in 0..1_000 {
            push(&mut queue, now, frame, 1, 20);
        }
        assert_eq!(queue.packets.len(), MAX_PACKETS);
    }

    #[test]
    fn a_frame_that_has_begun_is_finished() {
        let (mut queue, start) = (TrackQueue::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        push(&mut queue, at(0), 1, 13, 16_000);
        assert_eq!(write(&mut queue, at(0), 4), [(1, 4)]);
        // Others come and go meanwhile; neither age nor a full queue takes the rest of it.
        for frame in 2..30 {
            push(&mut queue, at(u64::from(frame) * 50), frame, 13, 16_000);
        }
        assert_eq!(write(&mut queue, at(1_500), 12)[0], (1, 9));
        // Of the rest the young ones: complete each.
        let rest = write(&mut queue, at(1_500), 1_000);
        assert_eq!(rest, [(28, 10), (29, 13)], "three of 28 went before");
        // And if it takes for ever, the rest is not sent either, though it comes later.
        push(&mut queue, at(2_000), 40, 2, 10);
        assert_eq!(write(&mut queue, at(2_000), 1), [(40, 1)]);
        assert_eq!(write(&mut queue, at(4_001), 1), []);
    }

    #[test]
    fn what_comes_of_a_broken_frame_is_not_sent() {
        let (mut queue, start) = (TrackQueue::default(), Instant::now());
        queue.push(start, &header(1, 0, 3), &[1]);
        let late = start + Duration::from_millis(101);
        assert_eq!(queue.next(late), None);
        assert!(!queue.accepts(&header(1, 1, 3)));
        assert!(!queue.accepts(&header(1, 2, 3)));
        assert_eq!(queue.dropped, 3);
        assert!(queue.accepts(&header(1, 0, 3)), "the number comes round again");
    }

    #[test]
    fn the_late_are_dropped() {
        let (mut queue, start) = (TrackQueue::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        push(&mut queue, at(0), 1, 1, 1);
        push(&mut queue, at(60), 2, 1, 1);
        assert_eq!(queue.next(at(100)), Some(&[1][..]));
        assert_eq!(queue.next(at(101)), Some(&[2][..]));
        queue.wrote_next();
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
        assert_eq!(window_of(10_000_000, round_trip, 5), Window::MOST, "a fast link is hardly limited");
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
        assert_eq!(window.bytes, Window::FIRST);
    }
}
