//! AIC payloads in, 16 kHz frames out, one every 20 ms of the player's clock.

use crate::codec::FRAME;
use crate::model::Model;
use crate::payload::{Payload, PayloadError};

use super::Played;
use super::playout::{Due, Playout};
use super::voice::{Frame, Voice};

/// One stream's receiver.
#[derive(Debug)]
pub struct FrameReceiver {
    playout: Playout,
    voice: Voice,
    silent: bool,
}

impl FrameReceiver {
    /// Begins `playout_ms` after the first packet; adapts from there.
    pub fn new(model: &Model, playout_ms: u32) -> Self {
        Self { playout: Playout::new(playout_ms), voice: Voice::new(model), silent: false }
    }

    /// A packet. `first_frame` is the index of its first primary frame in units of 20 ms; it may wrap, begin anywhere
    /// and come in any order.
    ///
    /// # Errors
    /// [`PayloadError`] for what is no payload; nothing changes then.
    pub fn insert(&mut self, first_frame: u32, payload: &[u8]) -> Result<(), PayloadError> {
        let payload = Payload::parse(payload)?;
        let first = self.playout.extend(first_frame);
        self.playout.insert(first, &payload);
        Ok(())
    }

    /// The next 20 ms.
    pub fn pull(&mut self, out: &mut [f32; FRAME]) -> Played {
        let slot = match self.playout.take(false) {
            Due::Wait => {
                out.fill(0.0);
                return Played::Waiting;
            }
            Due::Stall => {
                self.voice.play(Frame::Lost, out);
                return Played::Concealed;
            }
            Due::Frame(slot) => slot,
        };
        let (frame, played) = if let Some(coded) = slot.codes {
            self.silent = false;
            (Frame::Coded(coded), if coded.copy { Played::Redundant } else { Played::Coded })
        } else if slot.silence.is_some() || self.silent {
            self.silent = true;
            (Frame::Silent(slot.silence), Played::Silent)
        } else {
            (Frame::Lost, Played::Concealed)
        };
        self.voice.play(frame, out);
        played
    }

    /// Packets that came after their time.
    pub fn late(&self) -> u64 {
        self.playout.late
    }
}
