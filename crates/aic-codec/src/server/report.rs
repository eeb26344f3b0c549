//! What a client that runs the codec itself says about it: checked, because it is a client's word, and turned into the
//! same rows as our own measurements.

use std::sync::Arc;

use aura_proto::aic::v1 as pb;
use aura_service::{Result, ServiceError};
use time::OffsetDateTime;
use uuid::Uuid;

use super::engine::histogram::Histogram;
use super::engine::usage::{Usage, is_fault, parse_reason};
use super::store::reports::{Report, SessionFacts};
use super::terms;
use crate::control::Mode;

const MAX_WINDOW_MS: u32 = 60_000;
/// Of one 20 ms frame, whatever codec.
const MAX_FRAME_BYTES: u64 = 4_000;
const MAX_LATENCY_MS: f64 = 60_000.0;

/// The report, if it can be true.
pub(crate) fn from_client(
    request: pb::ReportUsageRequest,
    caller: String,
    instance: &str,
    now: OffsetDateTime,
) -> Result<Report> {
    let user = terms::user(&request.user_id)?;
    let id = Uuid::try_parse(&request.session_id)
        .map_err(|_| ServiceError::invalid("session_id", "must be a UUID"))?;
    let usage = usage(&request)?;
    let (kind, backend) = if request.native { ("native", "client") } else { ("browser", "browser") };
    let facts = SessionFacts {
        id,
        user,
        kind,
        instance: instance.to_owned(),
        caller,
        room: terms::text("room", &request.room, 256)?,
        track: terms::text("track", &request.track, 128)?,
        direction: terms::direction("direction", request.direction)?,
        model: terms::text("model", &request.model, 64)?,
        backend,
        started_at: now - std::time::Duration::from_millis(u64::from(request.window_ms)),
    };
    if request.sequence > i64::MAX as u64 {
        return Err(ServiceError::invalid("sequence", "is too large"));
    }
    Ok(Report {
        session: Arc::new(facts),
        sequence: request.sequence,
        at: now,
        window_ms: request.window_ms,
        mode: terms::mode("mode", request.mode)?.unwrap_or(Mode::Adaptive),
        usage,
        ended: request.ended.then_some("ended"),
    })
}

fn usage(request: &pb::ReportUsageRequest) -> Result<Usage> {
    let refuse = |field: &str, message: &str| Err(ServiceError::invalid(field, message));
    if !(1..=MAX_WINDOW_MS).contains(&request.window_ms) {
        return refuse("window_ms", "must be 1 to 60000");
    }
    let most = request.window_ms / 20 * 5 / 4 + 50;
    if request.frames > most {
        return refuse("frames", "are more than the window holds");
    }
    for (field, count) in
        [("fallback_frames", request.fallback_frames), ("concealed_frames", request.concealed_frames)]
    {
        if count > most {
            return refuse(field, "are more than the window holds");
        }
    }
    if request.fallback_frames > request.frames {
        return refuse("fallback_frames", "are more than frames");
    }
    let frames = u64::from(request.frames);
    for (field, bytes) in [("coded_bytes", request.coded_bytes), ("native_bytes", request.native_bytes)] {
        if bytes > (frames + 1) * MAX_FRAME_BYTES {
            return refuse(field, "are more than the frames hold");
        }
    }
    for (field, score) in [("quality_mean", request.quality_mean), ("quality_min", request.quality_min)] {
        if !(0.0..=1.0).contains(&score) {
            return refuse(field, "must be 0 to 1");
        }
    }
    for (field, ms) in
        [("latency_mean_ms", request.latency_mean_ms), ("latency_p95_ms", request.latency_p95_ms)]
    {
        if !(0.0..=MAX_LATENCY_MS).contains(&ms) {
            return refuse(field, "must be 0 to 60000");
        }
    }
    let mut usage = Usage {
        frames,
        fallback_frames: u64::from(request.fallback_frames),
        concealed_frames: u64::from(request.concealed_frames),
        coded_bytes: request.coded_bytes,
        native_bytes: request.native_bytes,
        latency: Histogram::from_summary(request.latency_mean_ms, request.latency_p95_ms, frames),
        ..Usage::default()
    };
    if request.quality_mean > 0.0 {
        usage.quality.add(request.quality_mean, frames);
        usage.quality.min = Some(if request.quality_min > 0.0 {
            request.quality_min.min(request.quality_mean)
        } else {
            request.quality_mean
        });
    }
    for (name, times) in &request.fallbacks {
        let Some(reason) = parse_reason(name) else {
            return refuse("fallbacks", "holds a reason that does not exist");
        };
        if *times > most {
            return refuse("fallbacks", "are more than the window holds");
        }
        if *times > 0 {
            usage.fallbacks.insert(reason, u64::from(*times));
            usage.last_fallback = usage.last_fallback.max(Some(reason));
        }
    }
    if usage.fallbacks.keys().copied().any(is_fault) {
        usage.fault_frames = usage.fallback_frames;
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sane() -> pb::ReportUsageRequest {
        pb::ReportUsageRequest {
            user_id: Uuid::from_u128(1).to_string(),
            session_id: Uuid::from_u128(2).to_string(),
            window_ms: 10_000,
            frames: 500,
            fallback_frames: 20,
            coded_bytes: 8_000,
            native_bytes: 40_000,
            quality_mean: 0.9,
            quality_min: 0.86,
            latency_mean_ms: 3.0,
            latency_p95_ms: 4.5,
            fallbacks: [("quality".to_owned(), 1)].into(),
            ..pb::ReportUsageRequest::default()
        }
    }

    fn read(request: pb::ReportUsageRequest) -> Result<Report> {
        from_client(request, "dashboard".into(), "here", OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_sane_report_becomes_the_same_sums() {
        let report = read(sane()).unwrap();
        assert_eq!(report.usage.frames, 500);
        assert!((report.usage.compression_ratio() - 0.8).abs() < 1e-9);
        assert_eq!(report.usage.fault_frames, 20);
        assert_eq!((report.session.kind, report.session.backend), ("browser", "browser"));
    }

    #[test]
    fn what_cannot_be_true_is_refused_by_name() {
        let mut cases: Vec<(&str, pb::ReportUsageRequest)> = Vec::new();
        let mut bad = |field: &'static str, change: &dyn Fn(&mut pb::ReportUsageRequest)| {
            let mut request = sane();
            change(&mut request);
            cases.push((field, request));
        };
        bad("user_id", &|r| r.user_id = "me".into());
        bad("session_id", &|r| r.session_id = "x".into());
        bad("window_ms", &|r| r.window_ms = 0);
        bad("window_ms", &|r| r.window_ms = 60_001);
        bad("frames", &|r| r.frames = 1_000);
        bad("fallback_frames", &|r| r.fallback_frames = 501);
        bad("concealed_frames", &|r| r.concealed_frames = u32::MAX);
        bad("coded_bytes", &|r| r.coded_bytes = u64::MAX);
        bad("native_bytes", &|r| r.native_bytes = 1 << 40);
        bad("quality_mean", &|r| r.quality_mean = f64::NAN);
        bad("quality_min", &|r| r.quality_min = 1.1);
        bad("latency_p95_ms", &|r| r.latency_p95_ms = f64::INFINITY);
        bad("fallbacks", &|r| {
            r.fallbacks.insert("boredom".into(), 1);
        });
        bad("fallbacks", &|r| {
            r.fallbacks.insert("overload".into(), u32::MAX);
        });
        bad("room", &|r| r.room = "x".repeat(257));
        bad("track", &|r| r.track = "a\0".into());
        bad("mode", &|r| r.mode = 9);
        bad("direction", &|r| r.direction = 9);
        bad("sequence", &|r| r.sequence = u64::MAX);
        for (field, request) in cases {
            let error = read(request).map(drop).unwrap_err();
            assert_eq!(error.fields()[0].field, field, "{error}");
        }
    }
}
