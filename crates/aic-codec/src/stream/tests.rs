//! Both ends together: delay, changes of codec, loss, silence, every fallback.

use super::*;
use crate::codec::FRAME;
use crate::model::Model;
use crate::payload::Payload;
use crate::quality::stoi;
use crate::testing::{Noise, speech_clips, voice};

mod frames;
#[cfg(feature = "opus")]
mod switching;

fn model() -> Model {
    Model::bundled_on(crate::Backend::Native).unwrap()
}

/// AIC whatever it sounds like.
fn lenient() -> Settings {
    Settings { min_quality: 0.0, max_latency_ms: 1e6, floor: crate::Rate::High, ..Settings::default() }
}

/// Where `heard` resembles `said` most, searched over `lags`.
fn lag(said: &[f32], heard: &[f32], lags: std::ops::Range<usize>) -> usize {
    let span = said.len().min(heard.len().saturating_sub(lags.end));
    let likeness = |lag: &usize| -> f32 { said[..span].iter().zip(&heard[*lag..]).map(|(a, b)| a * b).sum() };
    lags.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).expect("lags")
}
