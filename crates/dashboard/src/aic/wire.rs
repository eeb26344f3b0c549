//! Between the service's messages and our own shapes. Its zeros that mean "unknown" become null.

use super::client::AicError;
use crate::engine::aic::{Change, ClientSource, Direction, Gpu, Mode, Reason, Report, Span};
use crate::engine::page::Cursor;
use crate::model::{
    AicAlert, AicConfig, AicFigures, AicKind, AicMetrics, AicModelHour, AicPoint, AicRule, AicSession, Page,
};
use aura_proto::aic::v1 as proto;
use aura_types::UserId;
use std::collections::BTreeMap;
use time::OffsetDateTime;

pub(super) fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

pub(super) fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> Result<OffsetDateTime, AicError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .map_err(|_| AicError::Garbled("a time"))
}

fn from_millis(millis: i64) -> Result<OffsetDateTime, AicError> {
    from_micros(millis.saturating_mul(1_000))
}

fn mode(mode: proto::Mode) -> Mode {
    match mode {
        proto::Mode::Conservative => Mode::Conservative,
        proto::Mode::Unspecified | proto::Mode::Adaptive => Mode::Adaptive,
        proto::Mode::Aggressive => Mode::Aggressive,
    }
}

fn proto_mode(mode: Mode) -> proto::Mode {
    match mode {
        Mode::Conservative => proto::Mode::Conservative,
        Mode::Adaptive => proto::Mode::Adaptive,
        Mode::Aggressive => proto::Mode::Aggressive,
    }
}

pub(super) fn config(config: &proto::UserConfig) -> Result<AicConfig, AicError> {
    let stored = config.updated_at_ms != 0;
    Ok(AicConfig {
        enabled: config.enabled,
        mode: mode(config.mode()),
        target_compression_ratio: config.target_compression_ratio,
        max_latency_ms: config.max_latency_ms,
        min_quality_score: config.min_quality_score,
        enable_fallback: config.enable_fallback,
        gpu: Gpu { enabled: config.gpu_enabled, device_id: config.gpu_device_id },
        updated_at: stored.then(|| from_millis(config.updated_at_ms)).transpose()?,
    })
}

pub(super) fn change(user: UserId, change: Change) -> proto::PutConfigRequest {
    proto::PutConfigRequest {
        user_id: user.to_string(),
        enabled: change.enabled,
        mode: change.mode.map(|mode| proto_mode(mode).into()),
        target_compression_ratio: change.target_compression_ratio,
        max_latency_ms: change.max_latency_ms,
        min_quality_score: change.min_quality_score,
        enable_fallback: change.enable_fallback,
        gpu_enabled: change.gpu.map(|gpu| gpu.enabled),
        gpu_device_id: change.gpu.map(|gpu| gpu.device_id),
    }
}

pub(super) fn sessions(reply: proto::ListSessionsResponse) -> Result<Page<AicSession>, AicError> {
    let items = reply.sessions.into_iter().map(session).collect::<Result<Vec<_>, _>>()?;
    let position = |last: &AicSession| Cursor { created_at: last.started_at, id: last.id }.encode();
    let next_cursor = items.last().filter(|_| reply.more).map(position);
    Ok(Page { items, next_cursor })
}

fn session(session: proto::Session) -> Result<AicSession, AicError> {
    let direction = match session.direction() {
        proto::Direction::Unspecified | proto::Direction::Send => Direction::Send,
        proto::Direction::Receive => Direction::Receive,
    };
    let some = |text: String| (!text.is_empty()).then_some(text);
    let open = session.ended_at_us == 0;
    Ok(AicSession {
        mode: mode(session.mode()),
        figures: figures(Counted {
            frames: session.frames,
            fallback_frames: session.fallback_frames,
            fallback_rate: share(session.fallback_frames, session.frames),
            coded_bytes: session.coded_bytes,
            native_bytes: session.native_bytes,
            quality: session.quality_score,
            latency_mean_ms: session.latency_mean_ms,
            latency_p95_ms: session.latency_p95_ms,
        }),
        id: session.id.parse().map_err(|_| AicError::Garbled("a session's id"))?,
        kind: AicKind::parse(&session.kind),
        room: some(session.room),
        track: some(session.track),
        direction,
        model: session.model,
        started_at: from_micros(session.started_at_us)?,
        ended_at: (!open).then(|| from_micros(session.ended_at_us)).transpose()?,
        end_reason: some(session.end_reason),
        fallbacks: session.fallbacks,
        last_fallback_reason: Reason::parse(&session.last_fallback_reason),
        concealed_frames: session.concealed_frames,
    })
}

pub(super) fn metrics(reply: proto::GetMetricsResponse, span: Span) -> Result<AicMetrics, AicError> {
    Ok(AicMetrics {
        from: span.from,
        to: span.to,
        bucket_s: reply.width_s,
        total: bucket(reply.total.unwrap_or_default(), Some(span.from))?,
        points: reply.buckets.into_iter().map(|one| bucket(one, None)).collect::<Result<_, _>>()?,
    })
}

fn bucket(bucket: proto::Bucket, at: Option<OffsetDateTime>) -> Result<AicPoint, AicError> {
    Ok(AicPoint {
        at: at.map_or_else(|| from_millis(bucket.at_ms), Ok)?,
        sessions: bucket.sessions,
        quality_min: known(bucket.quality_min),
        figures: figures(Counted {
            frames: bucket.frames,
            fallback_frames: part(bucket.fallback_share, bucket.frames),
            fallback_rate: bucket.fallback_share,
            coded_bytes: bucket.coded_bytes,
            native_bytes: bucket.native_bytes,
            quality: bucket.quality_mean,
            latency_mean_ms: bucket.latency_mean_ms,
            latency_p95_ms: bucket.latency_p95_ms,
        }),
        fallbacks: by_reason(bucket.fallbacks),
    })
}

pub(super) fn alert(alert: proto::Alert) -> Result<AicAlert, AicError> {
    let firing = alert.resolved_at_ms == 0;
    Ok(AicAlert {
        id: alert.id.parse().map_err(|_| AicError::Garbled("an alert's id"))?,
        rule: AicRule::parse(&alert.rule),
        value: alert.value,
        threshold: alert.threshold,
        started_at: from_millis(alert.started_at_ms)?,
        fired_at: from_millis(alert.fired_at_ms)?,
        resolved_at: (!firing).then(|| from_millis(alert.resolved_at_ms)).transpose()?,
    })
}

pub(super) fn model_hour(row: proto::ModelPerformance) -> Result<AicModelHour, AicError> {
    Ok(AicModelHour {
        hour: from_millis(row.hour_ms)?,
        fallback_rate: share(row.fallback_frames, row.frames),
        frames: row.frames,
        quality: known(row.quality_mean),
        latency_mean_ms: known(row.latency_mean_ms),
        latency_p95_ms: known(row.latency_p95_ms),
        model: row.model,
        backend: row.backend,
    })
}

struct Counted {
    frames: u64,
    fallback_frames: u64,
    fallback_rate: f64,
    coded_bytes: u64,
    native_bytes: u64,
    quality: f64,
    latency_mean_ms: f64,
    latency_p95_ms: f64,
}

fn figures(of: Counted) -> AicFigures {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    AicFigures {
        frames: of.frames,
        fallback_frames: of.fallback_frames,
        fallback_rate: of.fallback_rate.clamp(0.0, 1.0),
        coded_bytes: of.coded_bytes,
        native_bytes: of.native_bytes,
        saved_bytes: signed(of.native_bytes).saturating_sub(signed(of.coded_bytes)),
        compression_ratio: (of.native_bytes > 0).then(|| 1.0 - quotient(of.coded_bytes, of.native_bytes)),
        quality: known(of.quality),
        latency_mean_ms: known(of.latency_mean_ms),
        latency_p95_ms: known(of.latency_p95_ms),
    }
}

fn known(value: f64) -> Option<f64> {
    (value.is_finite() && value > 0.0).then_some(value)
}

#[expect(clippy::cast_precision_loss, reason = "a ratio people look at")]
fn quotient(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { quotient(part, whole) }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "frames of some weeks, times a share that is clamped"
)]
fn part(share: f64, whole: u64) -> u64 {
    (share.clamp(0.0, 1.0) * whole as f64).round() as u64
}

/// Names we do not know are a newer service's.
fn by_reason(fallbacks: impl IntoIterator<Item = (String, u64)>) -> BTreeMap<Reason, u64> {
    let known = fallbacks.into_iter().filter_map(|(name, times)| Some((Reason::parse(&name)?, times)));
    known.filter(|(_, times)| *times > 0).collect()
}

pub(super) fn report(user: UserId, report: Report) -> proto::ReportUsageRequest {
    let direction = match report.direction {
        Direction::Send => proto::Direction::Send,
        Direction::Receive => proto::Direction::Receive,
    };
    let fallbacks = report.fallbacks.into_iter().map(|(reason, times)| (reason.as_str().to_owned(), times));
    proto::ReportUsageRequest {
        user_id: user.to_string(),
        session_id: report.session_id.to_string(),
        sequence: report.sequence,
        room: report.room,
        track: report.track,
        direction: direction.into(),
        native: report.source == ClientSource::Native,
        mode: proto_mode(report.mode).into(),
        model: report.model,
        window_ms: report.window_ms,
        frames: report.frames,
        fallback_frames: report.fallback_frames,
        concealed_frames: report.concealed_frames,
        coded_bytes: report.coded_bytes,
        native_bytes: report.native_bytes,
        quality_mean: report.quality_mean.unwrap_or_default(),
        quality_min: report.quality_min.unwrap_or_default(),
        latency_mean_ms: report.latency_mean_ms,
        latency_p95_ms: report.latency_p95_ms,
        fallbacks: fallbacks.collect(),
        ended: report.ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_nothing_are_unknown_not_zero() {
        let nothing = bucket(proto::Bucket::default(), None).unwrap();
        let figures = nothing.figures;
        assert_eq!((figures.compression_ratio, figures.quality, figures.latency_p95_ms), (None, None, None));
        assert_eq!((nothing.quality_min, figures.saved_bytes), (None, 0));
    }

    #[test]
    fn ratio_and_savings_come_from_the_bytes() {
        let coded = proto::Bucket {
            frames: 50,
            coded_bytes: 750,
            native_bytes: 4000,
            fallback_share: 0.1,
            ..Default::default()
        };
        let figures = bucket(coded, None).unwrap().figures;
        assert_eq!((figures.saved_bytes, figures.fallback_frames), (3250, 5));
        assert!((figures.compression_ratio.unwrap() - 0.8125).abs() < 1e-9);
    }

    #[test]
    fn reasons_of_a_newer_service_are_left_out() {
        let fallbacks = [("quality".to_owned(), 3), ("moon_phase".to_owned(), 4), ("latency".to_owned(), 0)];
        assert_eq!(by_reason(fallbacks), BTreeMap::from([(Reason::Quality, 3)]));
    }

    #[test]
    fn pages_go_on_after_their_last_session() {
        let one = proto::Session {
            id: "0198f000-0000-7000-8000-000000000001".to_owned(),
            started_at_us: 1_700_000_000_123_456,
            ..Default::default()
        };
        let page =
            |more| sessions(proto::ListSessionsResponse { sessions: vec![one.clone()], more }).unwrap();
        assert_eq!(page(false).next_cursor, None);
        let cursor = page(true).next_cursor.unwrap();
        let after = crate::engine::page::Window::parse(None, Some(&cursor)).unwrap().after;
        assert_eq!((micros(after.created_at), after.id.to_string()), (one.started_at_us, one.id));
    }
}
