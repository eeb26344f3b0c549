//! What Prometheus sees. The names are contracts; users, rooms and sessions are never labels.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use tonic::Code;

use super::store::reports::Report;
use crate::control::Reason;

/// Describes every metric once, and makes those visible that may stay zero.
pub(crate) fn describe(model: &str) {
    describe_gauge!(
        "aic_compression_ratio",
        "1 - AIC bytes / bytes of the replaced stream, of the last interval"
    );
    describe_histogram!("aic_inference_latency_ms", Unit::Milliseconds, "Codec time for one 20 ms frame");
    describe_gauge!("aic_quality_score", "Mean online quality score of the last interval, 0..1");
    describe_counter!("aic_bandwidth_saved_bytes_total", "Payload bytes saved against the replaced streams");
    describe_counter!("aic_requests_total", "Unary calls and streams, by outcome");
    describe_counter!("aic_fallback_total", "Times the native codec took over, by reason");
    describe_counter!("aic_frames_total", "20 ms frames, by the codec that carried them");
    describe_counter!("aic_errors_total", "Faults, by type");
    describe_gauge!("aic_gpu_utilization_percent", Unit::Percent, "0 while the model runs on the CPU");
    describe_gauge!("aic_memory_usage_bytes", Unit::Bytes, "Resident memory of this process");
    describe_gauge!("aic_streams_open", "Streams open now");
    describe_gauge!("aic_worker_load", "Share of codec thread time in use, 0..1");
    describe_gauge!("aic_jobs_waiting", "Packets and pieces waiting for a codec thread");
    describe_gauge!("aic_alerts_firing", "Alerts firing, by rule");
    describe_gauge!("aic_measurements_waiting", "Rows waiting for the database");
    describe_gauge!("aic_model_info", "1 for the loaded model");
    gauge!("aic_model_info", "model" => model.to_owned()).set(1.0);
    gauge!("aic_gpu_utilization_percent").set(0.0);
    for reason in Reason::ALL {
        counter!("aic_fallback_total", "reason" => reason.as_str()).increment(0);
    }
    counter!("aic_bandwidth_saved_bytes_total").increment(0);
}

/// Codec time of one frame.
pub(crate) fn inference(model: &str, ms: f64) {
    histogram!("aic_inference_latency_ms", "model" => model.to_owned()).record(ms);
}

/// The sums of one interval of one session.
pub(crate) fn interval(report: &Report) {
    let (usage, mode) = (&report.usage, report.mode.as_str());
    if usage.native_bytes > 0 && usage.coded_bytes > 0 {
        gauge!("aic_compression_ratio", "mode" => mode).set(usage.compression_ratio());
    }
    if let Some(quality) = usage.quality.mean() {
        gauge!("aic_quality_score", "mode" => mode).set(quality);
    }
    counter!("aic_bandwidth_saved_bytes_total").increment(u64::try_from(usage.saved_bytes()).unwrap_or(0));
    for (reason, times) in &usage.fallbacks {
        counter!("aic_fallback_total", "reason" => reason.as_str()).increment(*times);
    }
    let fallback = usage.fault_frames.min(usage.fallback_frames);
    counter!("aic_frames_total", "path" => "aic")
        .increment(usage.frames.saturating_sub(usage.fallback_frames));
    counter!("aic_frames_total", "path" => "fault").increment(fallback);
    counter!("aic_frames_total", "path" => "native").increment(usage.fallback_frames - fallback);
}

/// A call or stream has ended.
pub(crate) fn request(code: Code) {
    counter!("aic_requests_total", "status" => status_label(code)).increment(1);
}

pub(crate) fn error(kind: &'static str, times: u64) {
    counter!("aic_errors_total", "type" => kind).increment(times);
}

/// Resident memory, where the system tells.
pub(crate) fn memory() {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<f64>().ok());
    if let Some(pages) = pages {
        // Linux pages are 4 KiB on every machine this is built for.
        gauge!("aic_memory_usage_bytes").set(pages * 4_096.0);
    }
}

fn status_label(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::InvalidArgument | Code::OutOfRange => "invalid_argument",
        Code::Unauthenticated => "unauthenticated",
        Code::PermissionDenied => "permission_denied",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::FailedPrecondition => "failed_precondition",
        Code::ResourceExhausted => "resource_exhausted",
        Code::Unavailable => "unavailable",
        Code::Cancelled => "cancelled",
        _ => "internal",
    }
}
