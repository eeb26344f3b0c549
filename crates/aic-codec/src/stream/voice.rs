//! AIC frames to 16 kHz samples, whatever came of them: decoded, continued, or replaced by background noise.

use crate::codec::{Arrived, Decoder, FRAME};
use crate::control::activity::{Activity, Detector};
use crate::model::Model;
use crate::payload::Silence;

use super::comfort::Comfort;
use super::playout::Coded;

/// Lost frames until the decoder begins to fade, and until it is silent: noise takes over in between.
const FADE: (u32, u32) = (5, 15);
/// A voice returns over this many samples: 5 ms.
const RETURN: usize = 80;

/// What to play.
#[derive(Clone, Copy, Debug)]
pub(super) enum Frame {
    Coded(Coded),
    Lost,
    Silent(Option<Silence>),
}

#[derive(Debug)]
pub(super) struct Voice {
    decoder: Decoder,
    comfort: Comfort,
    /// Listens to the background, for senders that do not describe it.
    detector: Detector,
    lost: u32,
    voice_gain: f32,
    noise_gain: f32,
}

impl Voice {
    pub(super) fn new(model: &Model) -> Self {
        Self {
            decoder: model.decoder(),
            comfort: Comfort::default(),
            detector: Detector::default(),
            lost: 0,
            voice_gain: 1.0,
            noise_gain: 0.0,
        }
    }

    /// As before the first frame, but for the background.
    #[cfg(feature = "opus")]
    pub(super) fn reset(&mut self) {
        self.decoder.reset();
        self.lost = 0;
        self.voice_gain = 1.0;
        self.noise_gain = 0.0;
    }

    /// 20 ms. What the model refuses or fails at is concealed.
    pub(super) fn play(&mut self, frame: Frame, out: &mut [f32; FRAME]) {
        let (voice_to, noise_to) = match frame {
            Frame::Coded(_) => (1.0, 0.0),
            Frame::Lost => {
                self.lost += 1;
                let faded = self.lost.saturating_sub(FADE.0) as f32 / (FADE.1 - FADE.0) as f32;
                (self.voice_gain, faded.min(1.0).max(self.noise_gain))
            }
            Frame::Silent(described) => {
                if let Some(silence) = described {
                    self.comfort.describe(silence);
                }
                (0.0, 1.0)
            }
        };
        out.fill(0.0);
        if voice_to > 0.0 || self.voice_gain > 0.0 {
            let arrived = match &frame {
                Frame::Coded(coded) => Arrived::Coded { codes: &coded.codes, stages: coded.stages },
                Frame::Lost | Frame::Silent(_) => Arrived::Lost,
            };
            if self.decoder.decode(arrived, out).is_err() {
                // Codes that no encoder makes: the decoder is as before, so the frame can still be lost.
                drop(self.decoder.decode(Arrived::Lost, out));
            }
        }
        if let Frame::Coded(_) = frame {
            self.lost = 0;
            // Not the hangover: the tails of words are louder than the room.
            if self.detector.hear(out) == Activity::Silence {
                self.comfort.describe(self.detector.background());
            }
        }
        self.fade(out, voice_to);
        if noise_to > 0.0 || self.noise_gain > 0.0 {
            self.comfort.add(out, self.noise_gain, noise_to);
        }
        if let Frame::Silent(_) = frame {
            // What is as loud as the room: else the beginning of the next word is taken for it.
            self.detector.hear(out);
        }
        self.noise_gain = noise_to;
    }

    fn fade(&mut self, out: &mut [f32; FRAME], to: f32) {
        if self.voice_gain != to {
            let length = if to > self.voice_gain { RETURN } else { FRAME };
            for (n, sample) in out.iter_mut().enumerate() {
                let part = ((n + 1) as f32 / length as f32).min(1.0);
                *sample *= self.voice_gain + (to - self.voice_gain) * part;
            }
            self.voice_gain = to;
        } else if to == 0.0 {
            out.fill(0.0);
        }
    }
}
