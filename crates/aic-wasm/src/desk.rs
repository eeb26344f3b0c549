//! Everything a page has open: a model, its senders and receivers by number, and the buffer through which data pass.
//!
//! Calls answer a number; below zero the buffer holds why. Streams are never more than a page can need, so that a
//! fault in the page cannot eat its memory.

use std::collections::BTreeMap;

use aic_codec::control::ladder::Ladder;
use aic_codec::control::{Decision, Mode, Reason};
use aic_codec::payload::Header;
use aic_codec::stream::{Feedback, FrameReceiver, FrameSender, Played, Settings};
use aic_codec::{Backend, FRAME, Model};

/// What a call answers when it failed.
pub(crate) const FAILED: i32 = -1;
/// Senders and receivers at once.
const MAX_STREAMS: usize = 256;
/// What is held back at first; the receiver adapts.
const PLAYOUT_MS: u32 = 40;

enum Stream {
    Sender { sender: Box<FrameSender>, first: u32 },
    Receiver(Box<FrameReceiver>),
}

/// See the module.
#[derive(Default)]
pub(crate) struct Desk {
    exchange: Vec<u8>,
    model: Option<Model>,
    streams: BTreeMap<i32, Stream>,
    opened: i32,
    /// What Opus is sent at beside AIC or instead of it.
    ladder: Option<Ladder>,
}

impl Desk {
    /// Makes the buffer `length` bytes long, keeping what is in it, and answers it.
    pub(crate) fn exchange(&mut self, length: usize) -> &mut [u8] {
        self.exchange.resize(length, 0);
        &mut self.exchange
    }

    /// Bytes in the buffer.
    pub(crate) fn length(&self) -> usize {
        self.exchange.len()
    }

    /// Loads the model whose four files lie in the buffer one after another; the buffer then holds its id.
    pub(crate) fn model(&mut self, manifest: usize, encoder: usize, decoder: usize, codebooks: usize) -> i32 {
        let files = std::mem::take(&mut self.exchange);
        let total = [manifest, encoder, decoder, codebooks]
            .into_iter()
            .try_fold(0, usize::checked_add)
            .filter(|&total| total == files.len());
        if total.is_none() {
            return self.fail("the four lengths are not those of the buffer");
        }
        let (manifest, rest) = files.split_at(manifest);
        let (encoder, rest) = rest.split_at(encoder);
        let (decoder, codebooks) = rest.split_at(decoder);
        match Model::from_bytes(manifest, encoder, decoder, codebooks, Backend::Native) {
            Ok(model) => {
                self.answer(model.id().as_bytes());
                self.model = Some(model);
                0
            }
            Err(error) => self.fail(error),
        }
    }

    /// A new sender's number.
    pub(crate) fn sender(&mut self, mode: u32, min_quality: f32, max_latency_ms: f32) -> i32 {
        let Some(model) = &self.model else { return self.fail("no model") };
        let Some(&mode) = Mode::ALL.get(mode as usize) else { return self.fail("no such mode") };
        let settings = Settings { mode, min_quality, max_latency_ms, ..Settings::default() };
        let sender = Box::new(FrameSender::new(model, settings));
        self.open(Stream::Sender { sender, first: 0 })
    }

    /// A new receiver's number.
    pub(crate) fn receiver(&mut self) -> i32 {
        let Some(model) = &self.model else { return self.fail("no model") };
        let receiver = Box::new(FrameReceiver::new(model, PLAYOUT_MS));
        self.open(Stream::Receiver(receiver))
    }

    /// Gives a frame of 320 f32 samples in the buffer to a sender; answers the length of the payload that is then in
    /// the buffer, 0 for none. `took_ms` is what coding the frame before took.
    pub(crate) fn push(&mut self, number: i32, now_ms: u64, took_ms: f32) -> i32 {
        let pcm = self.samples();
        let Some(Stream::Sender { sender, first }) = self.streams.get_mut(&number) else {
            return self.fail("no such sender");
        };
        let Some(pcm) = pcm else { return self.fail("a frame is 320 samples") };
        sender.took(now_ms, took_ms);
        match sender.push(&pcm, now_ms) {
            Ok(Some(packet)) => {
                *first = packet.first_frame;
                self.answer(&packet.payload);
                packet.payload.len() as i32
            }
            Ok(None) => 0,
            Err(error) => self.fail(error),
        }
    }

    /// Number of the first frame in the payload made last.
    pub(crate) fn first(&self, number: i32) -> u32 {
        match self.streams.get(&number) {
            Some(Stream::Sender { first, .. }) => *first,
            _ => 0,
        }
    }

    /// Tells a sender what share of its packets is lost.
    pub(crate) fn loss(&mut self, number: i32, now_ms: u64, share: f32) {
        if let Some(Stream::Sender { sender, .. }) = self.streams.get_mut(&number) {
            let loss = share.clamp(0.0, 1.0);
            sender.feedback(now_ms, Feedback { loss, mean_burst: 1.0, available_bps: None });
        }
    }

    /// Bits per second for Opus on a link that carries `available_bps` (0: plenty) and loses this share of packets;
    /// `reason` is why AIC is away, as in [`Self::status`].
    pub(crate) fn rung(
        &mut self,
        now_ms: u64,
        mode: u32,
        reason: u32,
        share: f32,
        available_bps: u32,
    ) -> i32 {
        let Some(&mode) = Mode::ALL.get(mode as usize) else { return self.fail("no such mode") };
        let reason = reason.checked_sub(1).and_then(|index| Reason::ALL.get(index as usize)).copied();
        let available = (available_bps > 0).then_some(available_bps);
        let ladder = self.ladder.get_or_insert_with(|| Ladder::new(mode));
        let setting = ladder.update(now_ms, mode, reason, share.clamp(0.0, 1.0), available);
        setting.bitrate_bps as i32
    }

    /// Leaves a sender's state in the buffer as four f64: reason to send Opus (0 for none, else one more than its
    /// number), kbit/s of payload, quality score (below 0 while unknown), frames in a packet.
    pub(crate) fn status(&mut self, number: i32) -> i32 {
        let Some(Stream::Sender { sender, .. }) = self.streams.get(&number) else {
            return self.fail("no such sender");
        };
        let state = sender.state();
        let (reason, kbps, frames) = match state.decision {
            Decision::Aic { rate, frames, depth } => {
                let header = Header { rate, silence: false, depth, frames: frames as u8 };
                (0.0, header.payload_len() as f64 * 8.0 / (20.0 * frames as f64), frames)
            }
            Decision::Opus { reason, .. } => (number_of(reason), 0.0, 1),
        };
        let score = state.score.map_or(-1.0, f64::from);
        let numbers = [reason, kbps, score, frames as f64];
        let bytes: Vec<u8> = numbers.into_iter().flat_map(f64::to_le_bytes).collect();
        self.answer(&bytes);
        bytes.len() as i32
    }

    /// Gives the payload in the buffer to a receiver.
    pub(crate) fn insert(&mut self, number: i32, first: u32) -> i32 {
        let payload = std::mem::take(&mut self.exchange);
        let Some(Stream::Receiver(receiver)) = self.streams.get_mut(&number) else {
            return self.fail("no such receiver");
        };
        match receiver.insert(first, &payload) {
            Ok(()) => 0,
            Err(error) => self.fail(error),
        }
    }

    /// Leaves a receiver's next 320 samples in the buffer; answers what they were made of.
    pub(crate) fn pull(&mut self, number: i32) -> i32 {
        let Some(Stream::Receiver(receiver)) = self.streams.get_mut(&number) else {
            return self.fail("no such receiver");
        };
        let mut pcm = [0.0; FRAME];
        let played = match receiver.pull(&mut pcm) {
            Played::Coded => 0,
            Played::Redundant => 1,
            Played::Concealed => 2,
            Played::Silent => 3,
            Played::Waiting => 4,
        };
        let bytes: Vec<u8> = pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.answer(&bytes);
        played
    }

    /// Packets that came to a receiver after their time.
    pub(crate) fn late(&self, number: i32) -> f64 {
        match self.streams.get(&number) {
            Some(Stream::Receiver(receiver)) => receiver.late() as f64,
            _ => 0.0,
        }
    }

    /// Forgets a stream.
    pub(crate) fn close(&mut self, number: i32) {
        self.streams.remove(&number);
    }

    fn open(&mut self, stream: Stream) -> i32 {
        if self.streams.len() >= MAX_STREAMS {
            return self.fail("too many streams");
        }
        self.opened += 1;
        self.streams.insert(self.opened, stream);
        self.opened
    }

    /// The buffer as one frame.
    fn samples(&self) -> Option<[f32; FRAME]> {
        let (words, []) = self.exchange.as_chunks::<4>() else { return None };
        let samples: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        samples.try_into().ok()
    }

    fn answer(&mut self, bytes: &[u8]) {
        self.exchange.clear();
        self.exchange.extend_from_slice(bytes);
    }

    fn fail(&mut self, why: impl std::fmt::Display) -> i32 {
        self.exchange = why.to_string().into_bytes();
        FAILED
    }
}

fn number_of(reason: Reason) -> f64 {
    f64::from(reason as u8) + 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opus_is_as_low_as_the_link() {
        let mut desk = Desk::default();
        // 20 kbit/s in packets of 40 ms, with their headers, are 30.
        assert_eq!(desk.rung(0, 1, 0, 0.0, 30_000), 20_000);
        assert_eq!(desk.rung(100, 1, Reason::Quality as u32 + 1, 0.0, 30_000), 16_000);
        assert_eq!(desk.rung(200, 1, 0, 0.0, 14_000), 6_000);
    }

    #[test]
    fn faults_of_the_page_are_answered_not_obeyed() {
        let mut desk = Desk::default();
        assert_eq!(desk.sender(0, 0.85, 20.0), FAILED);
        assert_eq!(desk.exchange, b"no model");
        desk.exchange(12);
        assert_eq!(desk.model(usize::MAX, 1, 2, 3), FAILED);
        desk.exchange(12);
        assert_eq!(desk.model(3, 3, 3, 3), FAILED);
        assert!(String::from_utf8(desk.exchange.clone()).unwrap().contains("manifest"));
        for call in [Desk::status, Desk::pull] {
            assert_eq!(call(&mut desk, 7), FAILED);
        }
        assert_eq!(desk.push(7, 0, 0.0), FAILED);
        assert_eq!(desk.insert(7, 0), FAILED);
        desk.loss(7, 0, 2.0);
        assert_eq!(desk.rung(0, 9, 0, 0.0, 0), FAILED);
        assert_eq!(desk.rung(0, 1, 99, f32::NAN, 1), 6_000);
        desk.close(7);
    }
}
