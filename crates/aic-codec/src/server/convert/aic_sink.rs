//! The output side towards AIC: the library's sender decides codec, rate, bundling and redundancy; this feeds it and
//! says what only the service knows. The sender's time is media time.

use std::collections::VecDeque;
use std::time::Duration;

use aura_types::{Clock as _, SystemClock};
use prost::Message as _;

use super::order::FRAME_TICKS;
use super::sink::Made;
use super::source::Heard;
use super::{ConvertError, Plan};
use crate::control::{Decision, Reason};
use crate::payload::{Header, MAX_DEPTH, TICKS_PER_FRAME};
use crate::resample::FRAME_48K;
use crate::server::engine::preference::Preference;
use crate::server::terms::Output;
use crate::stream::{Codec, Feedback, Packet, Sender, Settings};
use crate::{Model, Rate};

/// Half a frame of look-ahead inside the decoder, and resampling: 10 ms and 1.25 ms.
const DELAY_TICKS: u32 = 480 + 60;
/// How long an overload keeps AIC away at least.
const OVERLOAD_MS: u64 = 1_000;
/// Frames that another replica's sender hears first: what the encoder and the score remember, and some.
const REMEMBERED: usize = 100;
/// Bits per second of the stream that AIC replaces.
const NATIVE_BPS: f64 = 32_000.0;
/// A limit that no coding time reaches.
const NO_LIMIT_MS: f32 = 1e6;

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
    /// Opus once more while AIC is back already, for the receiver's cross-fade.
    pub(super) farewell: bool,
}

/// The sink.
pub(super) struct AicSink {
    model: Model,
    sender: Sender,
    /// What the sender's clock of samples is behind the input's.
    base: u32,
    /// Frames pushed: media time.
    frames: u64,
    expected: Option<u32>,
    /// Until this media time the machine counts as overloaded.
    overloaded_until_ms: u64,
    forced: bool,
    blocked: Option<Reason>,
    plan: Plan,
    last_reason: Option<Reason>,
    recent: VecDeque<Vec<f32>>,
}

impl AicSink {
    pub(super) fn new(model: &Model, plan: &Plan) -> Result<Self, ConvertError> {
        let mut this = Self {
            model: model.clone(),
            sender: Sender::new(model, settings(plan))?,
            base: 0,
            frames: 0,
            expected: None,
            overloaded_until_ms: 0,
            forced: false,
            blocked: None,
            plan: plan.clone(),
            last_reason: None,
            recent: VecDeque::with_capacity(REMEMBERED),
        };
        this.block();
        Ok(this)
    }

    pub(super) fn delay_ticks(&self) -> u32 {
        DELAY_TICKS
    }

    /// `heard` has 960 samples; its packet waited for `queue`.
    pub(super) fn push(&mut self, heard: &Heard, queue: Duration) -> Result<Vec<AicMade>, ConvertError> {
        if self.expected != Some(heard.timestamp) {
            // Time jumps: what the sender still holds keeps its own, by at most a bundle.
            self.base = heard.timestamp.wrapping_sub(ticks(self.frames));
        }
        self.expected = Some(heard.timestamp.wrapping_add(FRAME_TICKS));
        if queue.as_secs_f64() * 1e3 > self.plan.preference.max_latency_ms {
            self.overloaded();
        }
        self.block();
        let pcm: &[f32; FRAME_48K] = heard.pcm.first_chunk().ok_or(ConvertError::State)?;
        let now_ms = self.now_ms();
        let started = SystemClock.monotonic();
        let packets = self.sender.push(pcm, now_ms)?;
        let took = SystemClock.monotonic().saturating_duration_since(started) + queue;
        self.sender.took(now_ms, (took.as_secs_f64() * 1e3) as f32);
        self.frames += 1;
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(heard.pcm.clone());
        Ok(packets.into_iter().map(|packet| self.made(packet)).collect())
    }

    /// The bundle that has begun, filled up with silence.
    pub(super) fn flush(&mut self) -> Result<Vec<AicMade>, ConvertError> {
        let Some(end) = self.expected else { return Ok(Vec::new()) };
        let mut made = Vec::new();
        for frame in 0..2 {
            let (timestamp, pcm) = (end.wrapping_add(ticks(frame)), vec![0.0; FRAME_48K]);
            made.extend(
                self.push(&Heard { timestamp, pcm, concealed: false, silence: true }, Duration::ZERO)?,
            );
        }
        // What begins after the end holds nothing that anybody said.
        made.retain(|out| out.made.timestamp.wrapping_sub(end) >= 0x8000_0000);
        Ok(made)
    }

    fn made(&mut self, packet: Packet) -> AicMade {
        let state = self.sender.state();
        let timestamp = self.base.wrapping_add(packet.timestamp);
        let frames = u32::from(packet.frames);
        if let Decision::Opus { reason, .. } = state.decision {
            self.last_reason = Some(reason);
        }
        if packet.codec == Codec::Opus {
            let made = Made { payload: packet.payload, timestamp, frames };
            let reason = self.last_reason;
            let farewell = matches!(state.decision, Decision::Aic { .. });
            return AicMade { made, stages: 0, reason, quality: None, dtx: false, redundancy: 0, farewell };
        }
        let payload = packet.payload;
        let header = payload.first().and_then(|byte| Header::from_byte(*byte).ok());
        AicMade {
            made: Made { payload, timestamp, frames },
            stages: header.map_or(Rate::High, |header| header.rate).stages(),
            reason: None,
            quality: state.score.filter(|_| packet.voice),
            dtx: header.is_some_and(|header| header.silence),
            redundancy: header.map_or(0, |header| header.depth),
            farewell: false,
        }
    }

    /// No worker was free in time.
    pub(super) fn overloaded(&mut self) {
        self.overloaded_until_ms = self.now_ms() + OVERLOAD_MS;
    }

    pub(super) fn control(&mut self, plan: &Plan, loss: Option<f64>, fallback: Option<bool>, reset: bool) {
        self.plan = plan.clone();
        self.sender.set(settings(plan));
        if let Some(forced) = fallback {
            self.forced = forced;
        }
        if reset {
            match Sender::new(&self.model, settings(plan)) {
                Ok(sender) => {
                    self.base = self.base.wrapping_add(ticks(self.frames));
                    (self.sender, self.frames, self.blocked) = (sender, 0, None);
                    self.recent.clear();
                }
                Err(error) => tracing::warn!(%error, "the sender could not be reset"),
            }
        }
        if let Some(loss) = loss {
            let report = Feedback { loss: loss as f32, mean_burst: 1.0, available_bps: None };
            self.sender.feedback(self.now_ms(), report);
        }
        self.block();
    }

    /// Tells the sender what forbids AIC now, the gravest.
    fn block(&mut self) {
        let preference = &self.plan.preference;
        let reason = if self.forced || !preference.enabled {
            Some(Reason::Disabled)
        } else if self.now_ms() < self.overloaded_until_ms {
            Some(Reason::Overload)
        } else if self.plan.model_mismatch {
            Some(Reason::ModelMismatch)
        } else {
            None
        };
        if reason != self.blocked {
            self.blocked = reason;
            self.sender.block(reason);
        }
    }

    fn now_ms(&self) -> u64 {
        self.frames * 20
    }

    pub(super) fn state(&self) -> Vec<u8> {
        AicSinkState {
            base: self.base,
            frames: self.frames,
            expected: self.expected,
            overloaded_until_ms: self.overloaded_until_ms,
            forced: self.forced,
            last_reason: self.last_reason.map(|reason| reason as u32),
            recent: self.recent.iter().flatten().copied().collect(),
        }
        .encode_to_vec()
    }

    pub(super) fn restore(&mut self, model: &Model, plan: &Plan, bytes: &[u8]) -> Result<(), ConvertError> {
        let state = AicSinkState::decode(bytes).map_err(|_| ConvertError::State)?;
        let samples = super::finite(state.recent)?;
        if samples.len() > REMEMBERED * FRAME_48K || samples.len() % FRAME_48K != 0 {
            return Err(ConvertError::State);
        }
        *self = Self::new(model, plan)?;
        self.forced = state.forced;
        let heard = (samples.len() / FRAME_48K) as u64;
        for pcm in samples.chunks_exact(FRAME_48K) {
            let timestamp = ticks(self.frames);
            self.push(
                &Heard { timestamp, pcm: pcm.to_vec(), concealed: false, silence: false },
                Duration::ZERO,
            )?;
        }
        // The sender counts from its own beginning.
        self.base = state.base.wrapping_add(ticks(state.frames.wrapping_sub(heard)));
        self.expected = state.expected;
        self.overloaded_until_ms =
            state.overloaded_until_ms.saturating_sub(state.frames * 20).min(OVERLOAD_MS) + self.now_ms();
        self.last_reason = match state.last_reason {
            None => None,
            Some(number) => {
                Some(Reason::ALL.into_iter().find(|r| *r as u32 == number).ok_or(ConvertError::State)?)
            }
        };
        Ok(())
    }
}

/// Samples of so many frames, on a clock that wraps.
fn ticks(frames: u64) -> u32 {
    (frames as u32).wrapping_mul(TICKS_PER_FRAME)
}

fn settings(plan: &Plan) -> Settings {
    let Preference { mode, max_latency_ms, min_quality_score, enable_fallback, .. } = plan.preference;
    let (min_quality, max_latency_ms) =
        if enable_fallback { (min_quality_score as f32, max_latency_ms as f32) } else { (0.0, NO_LIMIT_MS) };
    let max_ptime_ms = match plan.output {
        Output::Aic { frames: Some(frames), .. } => frames as u16 * 20,
        _ => Settings::default().max_ptime_ms,
    };
    Settings {
        mode,
        min_quality,
        max_latency_ms,
        floor: Rate::Low,
        ceiling: ceiling(plan),
        max_redundancy: MAX_DEPTH,
        max_ptime_ms,
        dtx: true,
        tandem: false,
    }
}

/// The highest rate that the format allows and the target leaves.
pub(super) fn ceiling(plan: &Plan) -> Rate {
    let highest = match plan.output {
        Output::Aic { highest, .. } => highest,
        _ => Rate::High,
    };
    let allowed = NATIVE_BPS * (1.0 - plan.preference.target_compression_ratio);
    let target =
        Rate::ALL.into_iter().rev().find(|rate| f64::from(rate.bps()) <= allowed).unwrap_or(Rate::Low);
    highest.min(target)
}

#[derive(Clone, PartialEq, prost::Message)]
struct AicSinkState {
    #[prost(uint32, tag = "1")]
    base: u32,
    #[prost(uint64, tag = "2")]
    frames: u64,
    #[prost(uint32, optional, tag = "3")]
    expected: Option<u32>,
    #[prost(uint64, tag = "4")]
    overloaded_until_ms: u64,
    #[prost(bool, tag = "5")]
    forced: bool,
    #[prost(uint32, optional, tag = "6")]
    last_reason: Option<u32>,
    #[prost(float, repeated, tag = "7")]
    recent: Vec<f32>,
}
