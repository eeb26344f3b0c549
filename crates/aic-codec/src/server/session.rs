//! One stream's session: what it is, its conversion, its sums; and its state as bytes, to go on on another replica.
//!
//! Time inside a session is media time, frames of 20 ms: the same packets give the same output whenever and wherever
//! they are processed. Only measured codec times depend on the machine.

use std::sync::Arc;
use std::time::Duration;

use aura_proto::aic::v1 as pb;
use prost::Message as _;
use time::OffsetDateTime;
use uuid::Uuid;

use super::convert::{ConvertError, Converter, Plan, Refusal};
use super::engine::preference::Preference;
use super::engine::usage::Usage;
use super::store::reports::{Report, SessionFacts};
use super::terms::{self, Input, Kind, Output};
use crate::Model;
use crate::control::Mode;

/// A session's state, sealed, and how far it had come.
#[derive(Debug, Clone)]
pub(crate) struct Moved {
    pub(crate) state: pb::SessionState,
}

/// What a stream is opened with, checked.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    pub(crate) kind: Kind,
    pub(crate) caller: String,
    pub(crate) room: String,
    pub(crate) track: String,
    pub(crate) direction: &'static str,
    pub(crate) input: Input,
    pub(crate) output: Output,
    pub(crate) preference: Preference,
    /// The peer runs another model.
    pub(crate) model_mismatch: bool,
}

/// The session.
pub(crate) struct Session {
    facts: Arc<SessionFacts>,
    opening: Opening,
    converter: Converter,
    /// Since the last report.
    recent: Usage,
    recent_since: OffsetDateTime,
    total: Usage,
    next_report: u64,
    last_taken: Option<u32>,
}

/// A state that cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateFault {
    #[error("does not hold a session")]
    Malformed,
    #[error("is of another model")]
    Model,
    #[error("cannot be restored: {0}")]
    Convert(#[from] ConvertError),
}

impl Session {
    pub(crate) fn open(
        opening: Opening,
        model: &Model,
        instance: &str,
        now: OffsetDateTime,
    ) -> Result<Self, ConvertError> {
        let converter = Converter::new(model, &plan(&opening))?;
        Ok(Self::assemble(opening, converter, model, instance, now, now))
    }

    fn assemble(
        opening: Opening,
        converter: Converter,
        model: &Model,
        instance: &str,
        started_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Self {
        let facts = SessionFacts {
            id: opening.id,
            user: opening.user,
            kind: opening.kind.as_str(),
            instance: instance.to_owned(),
            caller: opening.caller.clone(),
            room: opening.room.clone(),
            track: opening.track.clone(),
            direction: opening.direction,
            model: model.id().to_owned(),
            backend: model.backend_name(),
            started_at,
        };
        Self {
            facts: Arc::new(facts),
            opening,
            converter,
            recent: Usage::default(),
            recent_since: now,
            total: Usage::default(),
            next_report: 0,
            last_taken: None,
        }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.facts.id
    }

    pub(crate) fn caller(&self) -> &str {
        &self.facts.caller
    }

    pub(crate) fn mode(&self) -> Mode {
        self.opening.preference.mode
    }

    pub(crate) fn last_taken(&self) -> Option<u32> {
        self.last_taken
    }

    pub(crate) fn opened(&self) -> pb::StreamOpened {
        pb::StreamOpened {
            session_id: self.facts.id.to_string(),
            model: self.facts.model.clone(),
            mode: terms::to_mode(self.mode()).into(),
            input: Some(self.opening.input.to_format()),
            output: Some(self.opening.output.to_format()),
            delay_ms: self.converter.delay_ms(),
            next_sequence: self.converter.next_sequence(),
            last_taken: self.last_taken,
        }
    }

    /// Converts one packet that waited for `waited`. The refused packet counts as lost.
    pub(crate) fn take(&mut self, packet: &pb::Packet, waited: Duration) -> Result<Vec<pb::Packet>, Refusal> {
        let result = self.converter.packet(packet, waited);
        if result.is_ok() {
            self.last_taken = Some(packet.sequence);
        }
        self.account();
        result
    }

    /// The pause that nobody sent before `packet`.
    pub(crate) fn pause_before(&mut self, packet: &pb::Packet) -> Result<Vec<pb::Packet>, Refusal> {
        self.converter.pause_before(packet)
    }

    /// The pause at the end.
    pub(crate) fn pause_until(&mut self, end: u32) -> Result<Vec<pb::Packet>, Refusal> {
        self.converter.pause_until(end)
    }

    /// Where the input stands on its clock.
    pub(crate) fn position(&self) -> Option<u32> {
        self.converter.position()
    }

    /// What is still buffered.
    pub(crate) fn finish(&mut self) -> Vec<pb::Packet> {
        let packets = self.converter.finish();
        self.account();
        packets
    }

    /// A packet was refused because every worker was busy.
    pub(crate) fn overloaded(&mut self) {
        self.converter.overloaded();
    }

    pub(crate) fn control(&mut self, control: &pb::StreamControl) -> aura_service::Result<()> {
        let preference = terms::narrowed(self.opening.preference, control.targets.as_ref())?;
        if let Some(loss) = control.loss
            && !(0.0..=1.0).contains(&loss)
        {
            return Err(aura_service::ServiceError::invalid("control.loss", "must be 0 to 1"));
        }
        self.opening.preference = preference;
        if let Some(mismatch) = control.model_mismatch {
            self.opening.model_mismatch = mismatch;
        }
        self.converter.control(&plan(&self.opening), control.loss, control.fallback, control.request_reset);
        Ok(())
    }

    fn account(&mut self) {
        let usage = self.converter.take_usage();
        self.recent.merge(&usage);
        self.total.merge(&usage);
    }

    pub(crate) fn total(&self) -> &Usage {
        &self.total
    }

    /// What was measured since the last report; `None` when that is nothing and the session goes on.
    pub(crate) fn report(&mut self, now: OffsetDateTime, ended: Option<&'static str>) -> Option<Report> {
        if self.recent.is_empty() && ended.is_none() && self.next_report > 0 {
            return None;
        }
        let window = (now - self.recent_since).whole_milliseconds().clamp(1, 600_000);
        let report = Report {
            session: Arc::clone(&self.facts),
            sequence: self.next_report,
            at: now,
            window_ms: u32::try_from(window).unwrap_or(1),
            mode: self.mode(),
            usage: std::mem::take(&mut self.recent),
            ended,
        };
        self.recent_since = now;
        self.next_report += 1;
        Some(report)
    }

    /// Everything needed to go on, before sealing. Call [`Session::report`] first: sums do not move.
    pub(crate) fn snapshot(&self, model: &Model) -> Vec<u8> {
        let opening = &self.opening;
        let preference = &opening.preference;
        Snapshot {
            id: opening.id.into_bytes().to_vec(),
            user: opening.user.into_bytes().to_vec(),
            kind: opening.kind.as_str().to_owned(),
            caller: opening.caller.clone(),
            room: opening.room.clone(),
            track: opening.track.clone(),
            direction: opening.direction.to_owned(),
            input: Some(opening.input.to_format()),
            output: Some(opening.output.to_format()),
            enabled: preference.enabled,
            mode: preference.mode.as_str().to_owned(),
            target_compression_ratio: preference.target_compression_ratio,
            max_latency_ms: preference.max_latency_ms,
            min_quality_score: preference.min_quality_score,
            enable_fallback: preference.enable_fallback,
            model_mismatch: opening.model_mismatch,
            fingerprint: model.fingerprint().to_vec(),
            started_at_us: micros(self.facts.started_at),
            next_report: self.next_report,
            last_taken: self.last_taken,
            converter: self.converter.state(),
        }
        .encode_to_vec()
    }

    /// Goes on from a snapshot whose seal was good.
    pub(crate) fn restore(
        bytes: &[u8],
        model: &Model,
        instance: &str,
        defaults: Preference,
        now: OffsetDateTime,
    ) -> Result<Self, StateFault> {
        let state = Snapshot::decode(bytes).map_err(|_| StateFault::Malformed)?;
        if state.fingerprint != model.fingerprint() {
            return Err(StateFault::Model);
        }
        let opening = state.opening(defaults).ok_or(StateFault::Malformed)?;
        let started_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(state.started_at_us) * 1_000)
            .map_err(|_| StateFault::Malformed)?;
        let converter = Converter::restore(model, &plan(&opening), &state.converter)?;
        let mut this = Self::assemble(opening, converter, model, instance, started_at, now);
        this.next_report = state.next_report;
        this.last_taken = state.last_taken;
        Ok(this)
    }
}

fn plan(opening: &Opening) -> Plan {
    Plan {
        input: opening.input,
        output: opening.output,
        preference: opening.preference,
        model_mismatch: opening.model_mismatch,
    }
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(0)
}

/// The layout of a session's state, version 1: replicas of one deployment read each other's.
#[derive(Clone, PartialEq, prost::Message)]
struct Snapshot {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    user: Vec<u8>,
    #[prost(string, tag = "3")]
    kind: String,
    #[prost(string, tag = "4")]
    caller: String,
    #[prost(string, tag = "5")]
    room: String,
    #[prost(string, tag = "6")]
    track: String,
    #[prost(string, tag = "7")]
    direction: String,
    #[prost(message, optional, tag = "8")]
    input: Option<pb::Format>,
    #[prost(message, optional, tag = "9")]
    output: Option<pb::Format>,
    #[prost(bool, tag = "10")]
    enabled: bool,
    #[prost(string, tag = "11")]
    mode: String,
    #[prost(double, tag = "12")]
    target_compression_ratio: f64,
    #[prost(double, tag = "13")]
    max_latency_ms: f64,
    #[prost(double, tag = "14")]
    min_quality_score: f64,
    #[prost(bool, tag = "15")]
    enable_fallback: bool,
    #[prost(bool, tag = "16")]
    model_mismatch: bool,
    #[prost(bytes = "vec", tag = "17")]
    fingerprint: Vec<u8>,
    #[prost(int64, tag = "18")]
    started_at_us: i64,
    #[prost(uint64, tag = "19")]
    next_report: u64,
    #[prost(uint32, optional, tag = "20")]
    last_taken: Option<u32>,
    #[prost(bytes = "vec", tag = "21")]
    converter: Vec<u8>,
}

impl Snapshot {
    fn opening(&self, defaults: Preference) -> Option<Opening> {
        let kind = Kind::parse(&self.kind)?;
        let preference = Preference {
            enabled: self.enabled,
            mode: self.mode.parse().ok()?,
            target_compression_ratio: self.target_compression_ratio,
            max_latency_ms: self.max_latency_ms,
            min_quality_score: self.min_quality_score,
            enable_fallback: self.enable_fallback,
            ..defaults
        };
        preference.check().ok()?;
        Some(Opening {
            id: Uuid::from_slice(&self.id).ok()?,
            user: Uuid::from_slice(&self.user).ok()?,
            kind,
            caller: self.caller.clone(),
            room: terms::text("room", &self.room, 256).ok()?,
            track: terms::text("track", &self.track, 128).ok()?,
            direction: ["", "send", "receive"].into_iter().find(|known| *known == self.direction)?,
            input: terms::input(kind, self.input.as_ref()).ok()?,
            output: terms::output(kind, self.output.as_ref()).ok()?,
            preference,
            model_mismatch: self.model_mismatch,
        })
    }
}
