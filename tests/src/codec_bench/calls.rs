//! One side of a call as it is really sent: the controller chooses the rate, describes silence and falls back.

use aic_codec::Model;
use aic_codec::control::{Decision, Settings};
use aic_codec::resample::Up;
use aic_codec::stream::Sender;

use super::clips::FRAME;
use super::judge::Mean;
use super::wire::OVERHEAD_BYTES;

/// What a speaker sent.
pub struct Call {
    /// Payload and wire, kbit/s, both codecs.
    pub kbps: (f64, f64),
    /// Share of the time that was described as silence and not sent.
    pub silent: f64,
    /// Share of the time in which Opus spoke.
    pub fallback: f64,
    /// The sender's own score, over the time in which AIC spoke.
    pub score: f64,
}

/// `samples` (16 kHz) spoken by one person under `settings`.
///
/// # Errors
/// When libopus refuses.
pub fn call(model: &Model, samples: &[f32], settings: Settings) -> anyhow::Result<Call> {
    let (mut sender, mut up) = (Sender::new(model, settings)?, Up::default());
    let (mut payload, mut packets, mut spoken) = (0_usize, 0_usize, 0_usize);
    let mut scores = Vec::new();
    let frames = samples.as_chunks::<FRAME>().0;
    for (n, frame) in frames.iter().enumerate() {
        for packet in sender.push(&up.process(frame), n as u64 * 20)? {
            payload += packet.payload.len();
            packets += 1;
            spoken += usize::from(packet.frames);
        }
        let state = sender.state();
        if state.voice && matches!(state.decision, Decision::Aic { .. }) {
            scores.push(state.score.map_or(f64::NAN, f64::from));
        }
    }
    let seconds = frames.len() as f64 / 50.0;
    let kbps = |bytes: usize| bytes as f64 * 8.0 / seconds / 1_000.0;
    Ok(Call {
        kbps: (kbps(payload), kbps(payload + packets * OVERHEAD_BYTES)),
        silent: 1.0 - (spoken as f64 / frames.len() as f64).min(1.0),
        fallback: sender.stats().fallback_frames as f64 / frames.len() as f64,
        score: Mean::of(scores).mean,
    })
}
