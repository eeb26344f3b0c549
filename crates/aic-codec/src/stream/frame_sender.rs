//! 16 kHz frames in, AIC payloads out, with every decision: rate, bundle, redundancy, silence, and when to stop.
//!
//! What is sent is also decoded here and compared with what was said. While Opus is sent by somebody else the frames
//! are still coded, unheard, to learn when AIC may return, unless the reason makes that pointless or the machine is
//! overloaded.

use crate::codec::{Arrived, Codes, Decoder, Encoder, FRAME, Rate};
use crate::control::activity::{Activity, Detector};
use crate::control::content::{Classifier, Content};
use crate::control::{Controller, Decision, Observed, Reason, Settings};
use crate::error::CodecError;
use crate::model::Model;
use crate::quality::{DECODER_DELAY, Score, Scorer};

use super::packer::{Packer, Plan};
use super::{AicPacket, Codec, Feedback};

/// What a sender is doing.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct State {
    /// Codec and parameters.
    pub decision: Decision,
    /// The newest quality score, of what is sent or, with Opus, of what AIC would have sent.
    pub score: Option<f32>,
    /// Somebody speaks.
    pub voice: bool,
    /// What is heard.
    pub content: Content,
}

/// One stream's sender.
#[derive(Debug)]
pub struct FrameSender {
    encoder: Encoder,
    decoder: Decoder,
    scorer: Scorer,
    classifier: Classifier,
    detector: Detector,
    controller: Controller,
    packer: Packer,
    index: u32,
    /// The rate that is coded, which in the shadow is the highest allowed.
    coded: Rate,
    /// The encoder has missed frames.
    idle: bool,
    /// The network failed on the last frame.
    failed: bool,
    score: Option<Score>,
    voice: bool,
    content: Content,
}

impl FrameSender {
    /// A sender at the start of a stream.
    pub fn new(model: &Model, settings: Settings) -> Self {
        Self {
            encoder: model.encoder(),
            decoder: model.decoder(),
            scorer: Scorer::new(DECODER_DELAY),
            classifier: Classifier::default(),
            detector: Detector::default(),
            controller: Controller::new(settings),
            packer: Packer::default(),
            index: 0,
            coded: Rate::High,
            idle: false,
            failed: false,
            score: None,
            voice: false,
            content: Content::Speech,
        }
    }

    /// The next 20 ms, full scale ±1; what is not finite is taken for silence. A payload comes out when a bundle is
    /// full; none while it fills, in silence, and while Opus is due. With the change to Opus, and back, the frame at
    /// which it happens is still, or already, sent in AIC too.
    ///
    /// # Errors
    /// [`CodecError::Backend`] if the network fails; AIC then counts as unavailable until it works again.
    pub fn push(&mut self, pcm: &[f32; FRAME], now_ms: u64) -> Result<Option<AicPacket>, CodecError> {
        let pcm = pcm.map(|sample| if sample.is_finite() { sample } else { 0.0 });
        let index = self.index;
        self.index = self.index.wrapping_add(1);
        let activity = self.detector.hear(&pcm);
        self.content = self.classifier.hear(&pcm);
        self.voice = activity == Activity::Speech;
        let before = self.codec();
        if self.controller.due(now_ms) {
            self.decide(now_ms);
        }
        let after = self.codec();
        if after == Codec::Opus && before == Codec::Opus && !self.shadows() {
            self.idle = true;
            return Ok(None);
        }
        let codes = match self.code(&pcm) {
            Ok(codes) => codes,
            Err(error) => {
                if !self.failed {
                    self.failed = true;
                    self.decide(now_ms);
                }
                return Err(error);
            }
        };
        self.failed = false;
        let plan = match (before, after, self.controller.decision()) {
            (Codec::Opus, Codec::Opus, _) => {
                self.packer.skip(codes);
                return Ok(None);
            }
            // Left just now: whatever is pending goes, with this frame.
            (_, Codec::Opus, _) => Plan { rate: self.coded, frames: 1, depth: 0, flush: true, silence: None },
            // Returned just now: copies of frames from the shadow let a cold decoder begin well.
            (Codec::Opus, Codec::Aic, Decision::Aic { rate, .. }) => {
                Plan { rate, frames: 1, depth: 3, flush: true, silence: None }
            }
            (_, _, Decision::Aic { rate, frames, depth }) => {
                let quiet = activity == Activity::Silence && self.controller.settings().dtx;
                Plan { rate, frames, depth, flush: false, silence: quiet.then(|| self.detector.background()) }
            }
            (_, Codec::Aic, Decision::Opus { .. }) => unreachable!("the codec is the decision's"),
        };
        Ok(self.packer.push(codes, index, plan))
    }

    /// Coding the last frame took `ms`, here or in a service.
    pub fn took(&mut self, now_ms: u64, ms: f32) {
        self.controller.took(now_ms, ms);
    }

    /// A receiver's report.
    pub fn feedback(&mut self, now_ms: u64, report: Feedback) {
        self.controller.feedback(now_ms, report.loss, report.mean_burst, report.available_bps);
    }

    /// What only the caller knows forbids AIC, from the very next frame, or no longer.
    pub fn block(&mut self, reason: Option<Reason>) {
        self.controller.block(reason);
    }

    /// Other wishes from now on; the stream goes on.
    pub fn set(&mut self, settings: Settings) {
        self.controller.set(settings);
    }

    /// What is happening.
    pub fn state(&self) -> State {
        State {
            decision: self.controller.decision(),
            score: self.score.map(|score| score.total()),
            voice: self.voice,
            content: self.content,
        }
    }

    /// The newest score with its parts.
    pub fn score(&self) -> Option<Score> {
        self.score
    }

    /// How often AIC was left for `reason`.
    pub fn count(&self, reason: Reason) -> u64 {
        self.controller.count(reason)
    }

    /// Index of the next frame.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The controller, to look at.
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// What is due now.
    pub fn codec(&self) -> Codec {
        match self.controller.decision() {
            Decision::Aic { .. } => Codec::Aic,
            Decision::Opus { .. } => Codec::Opus,
        }
    }

    fn decide(&mut self, now_ms: u64) {
        let score = if self.voice { self.scorer.score() } else { None };
        self.score = score.or(self.score);
        let observed = Observed {
            score: score.map(|score| score.total()),
            foreign_content: self.content != Content::Speech,
            failed: self.failed,
        };
        let wanted = match self.controller.tick(now_ms, &observed) {
            Decision::Aic { rate, .. } => rate,
            Decision::Opus { .. } => self.controller.settings().ceiling,
        };
        if wanted != self.coded {
            self.coded = wanted;
            self.encoder.set_rate(wanted);
            // The window speaks of the old rate.
            self.scorer.clear();
        }
    }

    /// Whether coding unheard can tell when AIC may return, and is affordable.
    fn shadows(&self) -> bool {
        match self.controller.decision() {
            Decision::Aic { .. } => true,
            Decision::Opus { reason, .. } => {
                matches!(reason, Reason::Quality | Reason::Latency | Reason::Content | Reason::Unavailable)
            }
        }
    }

    fn code(&mut self, pcm: &[f32; FRAME]) -> Result<Codes, CodecError> {
        if std::mem::take(&mut self.idle) {
            self.encoder.reset();
            self.decoder.reset();
            self.scorer.clear();
            self.packer.interrupt();
        }
        let codes = self.encoder.encode(pcm)?;
        let mut heard = [0.0; FRAME];
        self.decoder.decode(Arrived::Coded { codes: &codes, stages: self.coded.stages() }, &mut heard)?;
        self.scorer.push(pcm, &heard);
        Ok(codes)
    }
}
