//! One stream's conversion: packets in, packets out, and what it took. Runs on the codec threads; no clock but for
//! measuring, no I/O.
//!
//! Invariant: the same packets in the same order give the same output, also when the state moved to another replica in
//! between; only Opus, whose state cannot leave its process, is primed there instead and may differ in bits, not in
//! what is heard.

mod aic_sink;
mod order;
mod pause;
mod sink;
mod source;

use std::time::Duration;

use aura_proto::aic::v1 as pb;
use aura_service::ServiceError;
use aura_types::{Clock as _, SystemClock};
use prost::Message as _;

use super::engine::preference::Preference;
use super::engine::usage::{NATIVE_FRAME_BYTES, Usage, is_fault};
use super::telemetry;
use super::terms::{Input, MAX_PAYLOAD, Output, PcmRate};
use crate::control::Reason;
use crate::opus::OpusError;
use crate::payload::{Payload, truncate};
use crate::{CodecError, Model};
use aic_sink::{AicMade, AicSink};
use sink::{Made, OpusSink, PcmSink};
use source::{Carried, Heard, Source};

/// What to convert, and how.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) input: Input,
    pub(crate) output: Output,
    pub(crate) preference: Preference,
    pub(crate) model_mismatch: bool,
}

/// A conversion that cannot be set up or gone on with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConvertError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Opus(#[from] OpusError),
    #[error("the state is damaged")]
    State,
}

impl From<ConvertError> for ServiceError {
    fn from(error: ConvertError) -> Self {
        Self::internal(error)
    }
}

/// A packet that was not taken; it counts as lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("late: what follows it has been played")]
    Late,
    #[error("malformed: {0}")]
    Malformed(String),
    #[error("malformed: longer than 1500 bytes")]
    TooLong,
    #[error("this stream does not carry that codec")]
    Codec,
    #[error("sequence: must be 0 to 65535")]
    Sequence,
    #[error("the codec failed")]
    Failed,
}

impl Refusal {
    /// As in `aic_errors_total{type}`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Late => "late_packet",
            Self::Malformed(_) | Self::TooLong | Self::Codec | Self::Sequence => "malformed_packet",
            Self::Failed => "codec",
        }
    }

    fn codec(error: CodecError) -> Self {
        match error {
            CodecError::Code { .. } | CodecError::Stages(_) => Self::Malformed(error.to_string()),
            error => {
                tracing::error!(%error, "the codec failed");
                Self::Failed
            }
        }
    }

    fn opus(error: OpusError) -> Self {
        Self::Malformed(error.to_string())
    }
}

enum Sink {
    Pcm(PcmSink, PcmRate),
    Opus(Box<OpusSink>, u32),
    Aic(Box<AicSink>),
    /// AIC to AIC: cut to a lower rate, never decoded, because coding twice compounds the losses.
    Relay,
}

/// The conversion.
pub(crate) struct Converter {
    plan: Plan,
    model_id: String,
    source: Source,
    sink: Sink,
    next_sequence: u16,
    /// Where what was passed on undecoded ends.
    relayed_until: Option<u32>,
    /// Frames concealed since the last packet out.
    concealed: u32,
    usage: Usage,
    last_reason: Option<Reason>,
}

/// What one packet took.
#[derive(Debug, Clone, Copy, Default)]
struct Took {
    decode: Duration,
    encode: Duration,
    queue: Duration,
}

impl Converter {
    pub(crate) fn new(model: &Model, plan: &Plan) -> Result<Self, ConvertError> {
        let (want, sink) = match plan.output {
            Output::Pcm { rate, frames } => (rate, Sink::Pcm(PcmSink::new(frames), rate)),
            Output::Opus { bitrate_bps, frames } => {
                (PcmRate::Full, Sink::Opus(Box::new(OpusSink::new(bitrate_bps, frames)?), bitrate_bps))
            }
            Output::Aic { .. } if plan.input == Input::Aic => (PcmRate::Full, Sink::Relay),
            Output::Aic { .. } => (PcmRate::Full, Sink::Aic(Box::new(AicSink::new(model, plan)?))),
        };
        Ok(Self {
            plan: plan.clone(),
            model_id: model.id().to_owned(),
            source: Source::new(model, plan.input, want),
            sink,
            next_sequence: 0,
            concealed: 0,
            relayed_until: None,
            usage: Usage::default(),
            last_reason: None,
        })
    }

    /// Of the algorithm and resampling, without packet length.
    pub(crate) fn delay_ms(&self) -> u32 {
        let sink = match &self.sink {
            Sink::Relay => return 0,
            Sink::Pcm(..) => 0,
            Sink::Opus(..) => crate::opus::DELAY as u32,
            Sink::Aic(sink) => sink.delay_ticks(),
        };
        (self.source.delay_ticks() + sink).div_ceil(48)
    }

    pub(crate) fn next_sequence(&self) -> u32 {
        u32::from(self.next_sequence)
    }

    /// Converts one packet that waited for `queue`.
    pub(crate) fn packet(
        &mut self,
        packet: &pb::Packet,
        queue: Duration,
    ) -> Result<Vec<pb::Packet>, Refusal> {
        let sequence = u16::try_from(packet.sequence).map_err(|_| Refusal::Sequence)?;
        let carried = self.carried(packet.codec)?;
        if let Sink::Relay = self.sink {
            return self.relay(carried, packet, sequence, queue);
        }
        let started = SystemClock.monotonic();
        let heard = self.source.packet(carried, &packet.payload, sequence, packet.rtp_timestamp)?;
        let decoded = SystemClock.monotonic();
        let frames = heard.len() as u64;
        let concealed = heard.iter().filter(|frame| frame.concealed).count();
        self.concealed += concealed as u32;
        let made = self.encode(&heard, queue)?;
        let took = Took {
            decode: decoded.saturating_duration_since(started),
            encode: SystemClock.monotonic().saturating_duration_since(decoded),
            queue,
        };
        self.count_input(carried, packet.payload.len() as u64, frames, concealed as u64, took);
        Ok(self.number(made, took))
    }

    /// All workers were busy: AIC gives way to what costs less.
    pub(crate) fn overloaded(&mut self) {
        if let Sink::Aic(sink) = &mut self.sink {
            sink.overloaded();
        }
    }

    pub(crate) fn control(&mut self, plan: &Plan, loss: Option<f64>, fallback: Option<bool>, reset: bool) {
        self.plan = plan.clone();
        match &mut self.sink {
            Sink::Pcm(..) | Sink::Relay => {}
            Sink::Opus(sink, bitrate_bps) => {
                if let Some(loss) = loss
                    && let Err(error) = sink.set_loss(*bitrate_bps, loss)
                {
                    tracing::warn!(%error, "Opus refused a loss rate");
                }
                if reset && let Err(error) = sink.reset() {
                    tracing::warn!(%error, "Opus could not be reset");
                }
            }
            Sink::Aic(sink) => sink.control(plan, loss, fallback, reset),
        }
        if reset {
            self.source.reset();
        }
    }

    pub(crate) fn take_usage(&mut self) -> Usage {
        std::mem::take(&mut self.usage)
    }

    fn carried(&self, codec: i32) -> Result<Carried, Refusal> {
        let codec = pb::Codec::try_from(codec).map_err(|_| Refusal::Codec)?;
        match (self.plan.input, codec) {
            (Input::Pcm(rate), pb::Codec::Unspecified | pb::Codec::Pcm) => Ok(Carried::Pcm(rate)),
            (Input::Opus, pb::Codec::Unspecified | pb::Codec::Opus) | (Input::Aic, pb::Codec::Opus) => {
                Ok(Carried::Opus)
            }
            (Input::Aic, pb::Codec::Unspecified | pb::Codec::Aic) => Ok(Carried::Aic),
            _ => Err(Refusal::Codec),
        }
    }

    fn encode(&mut self, heard: &[Heard], queue: Duration) -> Result<Vec<Out>, Refusal> {
        let mut out = Vec::new();
        for frame in heard {
            match &mut self.sink {
                Sink::Pcm(sink, _) => out.extend(sink.push(frame).into_iter().map(Out::Plain)),
                Sink::Opus(sink, _) => {
                    let made = sink.push(frame).map_err(failed)?;
                    out.extend(made.into_iter().map(Out::Plain));
                }
                Sink::Aic(sink) => {
                    let made = sink.push(frame, queue).map_err(failed)?;
                    out.extend(made.into_iter().map(Out::Aic));
                }
                Sink::Relay => {}
            }
        }
        Ok(out)
    }

    /// Passes a packet on at a rate that is allowed. Its number and time are the sender's, so that what was lost before
    /// it can still be told.
    fn relay(
        &mut self,
        carried: Carried,
        packet: &pb::Packet,
        sequence: u16,
        queue: Duration,
    ) -> Result<Vec<pb::Packet>, Refusal> {
        if packet.payload.len() > MAX_PAYLOAD {
            return Err(Refusal::TooLong);
        }
        let (payload, stages, header) = if carried == Carried::Aic {
            let parsed =
                Payload::parse(&packet.payload).map_err(|error| Refusal::Malformed(error.to_string()))?;
            let payload = truncate(&packet.payload, aic_sink::ceiling(&self.plan))
                .ok_or_else(|| Refusal::Malformed("cannot be cut".to_owned()))?;
            let rate = parsed.header().rate.min(aic_sink::ceiling(&self.plan));
            (payload, rate.stages(), Some(parsed.header()))
        } else {
            (packet.payload.clone(), 0, None)
        };
        let frames = header.map_or(1, |header| if header.silence { 1 } else { u32::from(header.frames) });
        let input_bytes = packet.payload.len() as u64;
        self.usage.frames += u64::from(frames);
        self.usage.input_bytes += input_bytes;
        if carried == Carried::Opus {
            self.usage.fallback_frames += u64::from(frames);
        }
        self.usage.native_bytes += u64::from(frames) * NATIVE_FRAME_BYTES;
        self.next_sequence = sequence;
        self.relayed_until = Some(packet.rtp_timestamp.wrapping_add(frames * order::FRAME_TICKS));
        let made = AicMade {
            made: Made { payload, timestamp: packet.rtp_timestamp, frames },
            stages,
            reason: None,
            quality: None,
            dtx: header.is_some_and(|header| header.silence),
            redundancy: header.map_or(0, |header| header.depth),
            farewell: false,
        };
        Ok(self.number(vec![Out::Aic(made)], Took { queue, ..Took::default() }))
    }

    fn count_input(&mut self, carried: Carried, bytes: u64, frames: u64, concealed: u64, took: Took) {
        let usage = &mut self.usage;
        usage.frames += frames;
        usage.concealed_frames += concealed;
        usage.input_bytes += bytes;
        let to_aic = matches!(self.plan.output, Output::Aic { .. });
        match (self.plan.input, to_aic) {
            // On its way to AIC, Opus itself is what is replaced.
            (Input::Opus, true) => usage.native_bytes += bytes,
            (_, true) => usage.native_bytes += frames * NATIVE_FRAME_BYTES,
            (Input::Aic, false) => {
                usage.coded_bytes += bytes;
                usage.native_bytes += frames * NATIVE_FRAME_BYTES;
                if carried == Carried::Opus {
                    usage.fallback_frames += frames;
                }
            }
            (_, false) => {}
        }
        let mut codec_time = Duration::ZERO;
        if carried == Carried::Aic {
            codec_time += took.decode;
        }
        if to_aic {
            codec_time += took.encode;
        }
        if frames > 0 && codec_time > Duration::ZERO {
            let ms = codec_time.as_secs_f64() * 1e3 / frames as f64;
            usage.latency.add(ms, frames);
            for _ in 0..frames {
                telemetry::inference(&self.model_id, ms);
            }
        }
    }

    /// Numbers what goes out and says how it came about.
    fn number(&mut self, made: Vec<Out>, took: Took) -> Vec<pb::Packet> {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let mut packets = Vec::with_capacity(made.len());
        for out in made {
            let sequence = self.next_sequence;
            self.next_sequence = sequence.wrapping_add(1);
            let mut meta = pb::FrameMeta {
                encode_ms: ms(took.encode),
                decode_ms: ms(took.decode),
                queue_ms: ms(took.queue),
                concealed_frames: std::mem::take(&mut self.concealed),
                ..pb::FrameMeta::default()
            };
            let (made, codec) = match out {
                Out::Plain(made) => (made, self.plan.output.codec()),
                Out::Aic(aic) => self.aic_out(aic, &mut meta),
            };
            self.usage.output_bytes += made.payload.len() as u64;
            packets.push(pb::Packet {
                payload: made.payload,
                rtp_timestamp: made.timestamp,
                sequence: u32::from(sequence),
                codec: codec.into(),
                meta: Some(meta),
            });
        }
        packets
    }

    fn aic_out(&mut self, aic: AicMade, meta: &mut pb::FrameMeta) -> (Made, pb::Codec) {
        let frames = u64::from(aic.made.frames);
        let usage = &mut self.usage;
        usage.coded_bytes += aic.made.payload.len() as u64;
        meta.stages = u32::from(aic.stages);
        meta.dtx = aic.dtx;
        meta.redundancy = u32::from(aic.redundancy);
        meta.quality_score = aic.quality.map(f64::from);
        if let Some(score) = aic.quality {
            usage.quality.add(f64::from(score), frames);
        }
        if let Some(reason) = aic.reason {
            meta.fallback_reason = to_reason(reason).into();
        }
        // With fallback forbidden, AIC is sent with a reason that would have ended it.
        let fell_back = aic.reason.filter(|_| aic.stages == 0);
        if aic.farewell {
            return (aic.made, pb::Codec::Opus);
        }
        if let Some(reason) = fell_back {
            usage.fallback_frames += frames;
            if is_fault(reason) {
                usage.fault_frames += frames;
            }
            if self.last_reason != Some(reason) {
                *usage.fallbacks.entry(reason).or_default() += 1;
                usage.last_fallback = Some(reason);
            }
        }
        self.last_reason = fell_back;
        (aic.made, if aic.stages == 0 { pb::Codec::Opus } else { pb::Codec::Aic })
    }

    pub(crate) fn state(&self) -> Vec<u8> {
        let sink = match &self.sink {
            Sink::Pcm(sink, _) => SinkState::Pcm(sink.state()),
            Sink::Opus(sink, _) => SinkState::Opus(sink.state()),
            Sink::Aic(sink) => SinkState::Aic(sink.state()),
            Sink::Relay => SinkState::Aic(Vec::new()),
        };
        ConverterState {
            source: Some(self.source.state()),
            next_sequence: u32::from(self.next_sequence),
            concealed: self.concealed,
            last_reason: self.last_reason.map(|reason| reason as u32),
            sink: Some(sink),
        }
        .encode_to_vec()
    }

    pub(crate) fn restore(model: &Model, plan: &Plan, bytes: &[u8]) -> Result<Self, ConvertError> {
        let state = ConverterState::decode(bytes).map_err(|_| ConvertError::State)?;
        let mut this = Self::new(model, plan)?;
        this.source.restore(state.source.ok_or(ConvertError::State)?)?;
        this.next_sequence = u16::try_from(state.next_sequence).map_err(|_| ConvertError::State)?;
        this.concealed = state.concealed;
        this.last_reason = match state.last_reason {
            None => None,
            Some(number) => {
                let reason = Reason::ALL.into_iter().find(|reason| *reason as u32 == number);
                Some(reason.ok_or(ConvertError::State)?)
            }
        };
        match (&mut this.sink, state.sink.ok_or(ConvertError::State)?) {
            (Sink::Pcm(sink, rate), SinkState::Pcm(state)) => sink.restore(state, *rate)?,
            (Sink::Opus(sink, _), SinkState::Opus(state)) => sink.restore(state)?,
            (Sink::Aic(sink), SinkState::Aic(state)) => sink.restore(model, plan, &state)?,
            (Sink::Relay, SinkState::Aic(_)) => {}
            _ => return Err(ConvertError::State),
        }
        Ok(this)
    }
}

enum Out {
    Plain(Made),
    Aic(AicMade),
}

fn failed(error: ConvertError) -> Refusal {
    tracing::error!(%error, "the codec failed");
    Refusal::Failed
}

fn to_reason(reason: Reason) -> pb::FallbackReason {
    match reason {
        Reason::Quality => pb::FallbackReason::Quality,
        Reason::Latency => pb::FallbackReason::Latency,
        Reason::Content => pb::FallbackReason::Content,
        Reason::ModelMismatch => pb::FallbackReason::ModelMismatch,
        Reason::Overload => pb::FallbackReason::Overload,
        Reason::Unavailable => pb::FallbackReason::Unavailable,
        Reason::Disabled => pb::FallbackReason::Disabled,
    }
}

/// Samples that a filter may hear: one infinite number would never leave it again.
fn finite(samples: Vec<f32>) -> Result<Vec<f32>, ConvertError> {
    if samples.iter().all(|sample| sample.abs() <= 16.0) { Ok(samples) } else { Err(ConvertError::State) }
}

#[derive(Clone, PartialEq, prost::Message)]
struct ConverterState {
    #[prost(message, optional, tag = "1")]
    source: Option<source::SourceState>,
    #[prost(uint32, tag = "2")]
    next_sequence: u32,
    #[prost(uint32, tag = "3")]
    concealed: u32,
    #[prost(uint32, optional, tag = "4")]
    last_reason: Option<u32>,
    #[prost(oneof = "SinkState", tags = "5, 6, 7")]
    sink: Option<SinkState>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum SinkState {
    #[prost(message, tag = "5")]
    Pcm(sink::GatherState),
    #[prost(message, tag = "6")]
    Opus(sink::OpusSinkState),
    #[prost(bytes, tag = "7")]
    Aic(Vec<u8>),
}
