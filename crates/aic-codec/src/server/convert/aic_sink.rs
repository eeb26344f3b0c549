//! The output side towards AIC.

use std::time::Duration;

use super::order::FRAME_TICKS;
use super::sink::Made;
use super::source::Heard;
use super::{ConvertError, Plan};
use crate::control::Reason;
use crate::payload;
use crate::resample::Down;
use crate::server::terms::Output;
use crate::{Encoder, Model, Rate};

/// Half a frame of look-ahead inside the decoder, and resampling: 10 ms and 1.25 ms.
const DELAY_TICKS: u32 = 480 + 60;

/// A packet and how it came about.
#[derive(Debug, Clone)]
pub(super) struct AicMade {
    pub(super) made: Made,
    /// 0: Opus.
    pub(super) stages: u8,
    pub(super) reason: Option<Reason>,
    pub(super) quality: Option<f32>,
    pub(super) dtx: bool,
    pub(super) redundancy: u8,
}

/// One frame a packet at the highest rate allowed.
pub(super) struct AicSink {
    down: Down,
    encoder: Encoder,
    rate: Rate,
}

impl AicSink {
    pub(super) fn new(model: &Model, plan: &Plan) -> Result<Self, ConvertError> {
        Ok(Self { down: Down::default(), encoder: model.encoder(), rate: rate(plan) })
    }

    pub(super) fn delay_ticks(&self) -> u32 {
        DELAY_TICKS
    }

    pub(super) fn push(&mut self, heard: &Heard, _: Duration) -> Result<Vec<AicMade>, ConvertError> {
        let pcm = self.down.process(heard.pcm.first_chunk().ok_or(ConvertError::State)?);
        let codes = self.encoder.encode(&pcm)?;
        let payload = payload::build(self.rate, &[codes], &[], 0).map_err(|_| ConvertError::State)?;
        let made = Made { payload, timestamp: heard.timestamp, frames: 1 };
        let stages = self.rate.stages();
        Ok(vec![AicMade { made, stages, reason: None, quality: None, dtx: false, redundancy: 0 }])
    }

    pub(super) fn flush(&mut self) -> Result<Vec<AicMade>, ConvertError> {
        Ok(Vec::new())
    }

    pub(super) fn overloaded(&mut self) {}

    pub(super) fn control(&mut self, plan: &Plan, _: Option<f64>, _: Option<bool>, reset: bool) {
        self.rate = rate(plan);
        if reset {
            self.encoder.reset();
        }
    }

    pub(super) fn state(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.down.last().iter().flat_map(|sample| sample.to_le_bytes()).collect();
        bytes.extend(self.encoder.state());
        bytes
    }

    pub(super) fn restore(&mut self, _: &Model, _: &Plan, bytes: &[u8]) -> Result<(), ConvertError> {
        let (last, state) = bytes.split_at_checked(960 * 4).ok_or(ConvertError::State)?;
        let last = last.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
        self.down = Down::resume(super::finite(last)?.first_chunk().ok_or(ConvertError::State)?);
        Ok(self.encoder.restore(state)?)
    }
}

fn rate(plan: &Plan) -> Rate {
    match plan.output {
        Output::Aic { highest, .. } => highest,
        _ => Rate::High,
    }
}

const _: () = assert!(FRAME_TICKS == payload::TICKS_PER_FRAME);
