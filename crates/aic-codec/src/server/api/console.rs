//! `auralink.aic.v1.AicConsole`: one user's configuration, sessions and measurements. The calling service vouches for
//! the user; everything is read in that user's own transaction.

use std::sync::Arc;
use std::time::Duration;

use aura_proto::aic::v1 as pb;
use aura_proto::aic::v1::aic_console_server::AicConsole;
use aura_service::resilience::LocalRateLimiter;
use aura_service::{Result, ServiceError};
use aura_types::{ErrorCode, Quota, RateLimiter as _, UserId};
use time::OffsetDateTime;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::caller;
use crate::server::engine::preference::{Change, Preference};
use crate::server::engine::usage::Usage;
use crate::server::preferences::ChangeError;
use crate::server::service::Service;
use crate::server::store::sessions::{Bucket, Range, SessionRow};
use crate::server::store::{alerts, performance, sessions};
use crate::server::{report, terms};

/// Reports of one user: ten streams every ten seconds.
const REPORTS: Quota = Quota { burst: 60, refill_per_s: 1.0 };
const DEFAULT_POINTS: i64 = 120;
const MAX_POINTS: i64 = 2_000;
const MAX_RANGE_MS: i64 = 366 * 86_400_000;
const HOUR_MS: i64 = 3_600_000;

pub(crate) struct Console {
    service: Service,
    limiter: Arc<LocalRateLimiter>,
}

impl Console {
    pub(crate) fn new(service: Service) -> Self {
        let limiter = Arc::new(LocalRateLimiter::new(Arc::clone(&service.clock)));
        Self { service, limiter }
    }

    async fn list_sessions(&self, request: pb::ListSessionsRequest) -> Result<pb::ListSessionsResponse> {
        let user = terms::user(&request.user_id)?;
        let limit = match request.limit {
            0 => 50,
            limit @ 1..=100 => limit,
            _ => return Err(ServiceError::invalid("limit", "must be 1 to 100")),
        };
        let before = if request.before_us == 0 && request.before_id.is_empty() {
            // Later than any row.
            (self.service.clock.now() + time::Duration::days(1), Uuid::max())
        } else {
            let id = Uuid::try_parse(&request.before_id)
                .map_err(|_| ServiceError::invalid("before_id", "must be a UUID"))?;
            (at_us("before_us", request.before_us)?, id)
        };
        let mut tx = self.service.db.tenant(UserId::from_uuid(user)).await?;
        let mut rows = sessions::list(&mut tx, before, request.only_open, limit + 1).await?;
        tx.commit().await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        Ok(pb::ListSessionsResponse {
            sessions: rows.into_iter().map(|row| to_session(user, row)).collect(),
            more,
        })
    }

    async fn get_metrics(&self, request: pb::GetMetricsRequest) -> Result<pb::GetMetricsResponse> {
        let user = terms::user(&request.user_id)?;
        let range = range(&request, self.service.clock.unix_ms())?;
        let mut tx = self.service.db.tenant(UserId::from_uuid(user)).await?;
        let (buckets, sessions) = sessions::buckets(&mut tx, &range).await?;
        tx.commit().await?;
        let mut total = Bucket { start_s: range.from.unix_timestamp(), sessions, usage: Usage::default() };
        for bucket in &buckets {
            total.usage.merge(&bucket.usage);
        }
        Ok(pb::GetMetricsResponse {
            buckets: buckets.iter().map(to_bucket).collect(),
            total: Some(to_bucket(&total)),
            width_s: range.bucket_s,
        })
    }

    async fn list_alerts(&self, user: &str) -> Result<pb::ListAlertsResponse> {
        let user = terms::user(user)?;
        let mut tx = self.service.db.tenant(UserId::from_uuid(user)).await?;
        let rows = alerts::list(&mut tx).await?;
        tx.commit().await?;
        let alerts = rows.into_iter().map(|row| pb::Alert {
            id: row.id.to_string(),
            rule: row.rule,
            value: row.value,
            threshold: row.threshold,
            started_at_ms: to_ms(row.started_at),
            fired_at_ms: to_ms(row.fired_at),
            resolved_at_ms: row.resolved_at.map_or(0, to_ms),
        });
        Ok(pb::ListAlertsResponse { alerts: alerts.collect() })
    }

    async fn model_performance(
        &self,
        request: pb::GetModelPerformanceRequest,
    ) -> Result<pb::GetModelPerformanceResponse> {
        let user = terms::user(&request.user_id)?;
        let hours = match request.hours {
            0 => 24,
            hours @ 1..=720 => hours,
            _ => return Err(ServiceError::invalid("hours", "must be 1 to 720")),
        };
        let from = self.service.clock.now() - time::Duration::hours(i64::from(hours));
        let mut tx = self.service.db.tenant(UserId::from_uuid(user)).await?;
        let rows = performance::list(&mut tx, from).await?;
        tx.commit().await?;
        let rows = rows.into_iter().map(|row| pb::ModelPerformance {
            hour_ms: to_ms(row.hour),
            model: row.model,
            backend: row.backend,
            frames: row.usage.frames,
            latency_mean_ms: row.usage.latency.mean_ms(),
            latency_p95_ms: row.usage.latency.percentile_ms(0.95),
            quality_mean: row.usage.quality.mean().unwrap_or(0.0),
            fallback_frames: row.usage.fallback_frames,
        });
        Ok(pb::GetModelPerformanceResponse { rows: rows.collect() })
    }

    async fn report_usage(&self, caller: String, request: pb::ReportUsageRequest) -> Result<()> {
        let report = report::from_client(request, caller, &self.service.instance, self.service.clock.now())?;
        let decision = self.limiter.check(&report.session.user.to_string(), REPORTS).await;
        if !decision.allowed {
            return Err(ServiceError::new(ErrorCode::ResourceExhausted, "too many reports")
                .with_retry_after(decision.retry_after.unwrap_or(Duration::from_secs(1))));
        }
        self.service.recorder.write_now(report).await?;
        Ok(())
    }
}

#[tonic::async_trait]
impl AicConsole for Console {
    async fn get_config(
        &self,
        request: Request<pb::GetConfigRequest>,
    ) -> Result<Response<pb::UserConfig>, Status> {
        let user = terms::user(&request.get_ref().user_id)?;
        let (preference, at) = self.service.preferences.read(user).await.map_err(ServiceError::from)?;
        Ok(Response::new(to_config(&preference, at)))
    }

    async fn put_config(
        &self,
        request: Request<pb::PutConfigRequest>,
    ) -> Result<Response<pb::UserConfig>, Status> {
        let request = request.into_inner();
        let user = terms::user(&request.user_id)?;
        let mode = match request.mode {
            None => None,
            Some(number) => Some(
                terms::mode("mode", number)?.ok_or_else(|| ServiceError::invalid("mode", "is missing"))?,
            ),
        };
        let change = Change {
            enabled: request.enabled,
            mode,
            target_compression_ratio: request.target_compression_ratio,
            max_latency_ms: request.max_latency_ms,
            min_quality_score: request.min_quality_score,
            enable_fallback: request.enable_fallback,
            gpu_enabled: request.gpu_enabled,
            gpu_device_id: request.gpu_device_id,
        };
        let changed = self.service.preferences.change(user, &change).await;
        let (preference, at) = changed.map_err(|error| match error {
            ChangeError::OutOfRange(fault) => ServiceError::invalid(fault.field, fault.message),
            ChangeError::Store(error) => ServiceError::from(error),
        })?;
        Ok(Response::new(to_config(&preference, Some(at))))
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Status> {
        Ok(Response::new(self.list_sessions(request.into_inner()).await?))
    }

    async fn get_metrics(
        &self,
        request: Request<pb::GetMetricsRequest>,
    ) -> Result<Response<pb::GetMetricsResponse>, Status> {
        Ok(Response::new(self.get_metrics(request.into_inner()).await?))
    }

    async fn list_alerts(
        &self,
        request: Request<pb::ListAlertsRequest>,
    ) -> Result<Response<pb::ListAlertsResponse>, Status> {
        Ok(Response::new(self.list_alerts(&request.get_ref().user_id).await?))
    }

    async fn get_model_performance(
        &self,
        request: Request<pb::GetModelPerformanceRequest>,
    ) -> Result<Response<pb::GetModelPerformanceResponse>, Status> {
        Ok(Response::new(self.model_performance(request.into_inner()).await?))
    }

    async fn report_usage(
        &self,
        request: Request<pb::ReportUsageRequest>,
    ) -> Result<Response<pb::ReportUsageResponse>, Status> {
        let caller = caller(&request)?;
        self.report_usage(caller, request.into_inner()).await?;
        Ok(Response::new(pb::ReportUsageResponse {}))
    }
}

/// The asked range in whole buckets.
fn range(request: &pb::GetMetricsRequest, now_ms: i64) -> Result<Range> {
    let to_ms = if request.to_ms == 0 { now_ms } else { request.to_ms };
    let from_ms = if request.from_ms == 0 { to_ms.saturating_sub(HOUR_MS) } else { request.from_ms };
    let span_ms = to_ms.saturating_sub(from_ms);
    if !(1..=MAX_RANGE_MS).contains(&span_ms) {
        return Err(ServiceError::invalid("from_ms", "must lie before to_ms, by at most 366 days"));
    }
    let span_s = span_ms / 1_000 + 1;
    let bucket_s = match request.bucket_s {
        // A row stands for about five seconds: narrower buckets would show gaps.
        0 => u32::try_from((span_s / DEFAULT_POINTS).clamp(5, 86_400)).unwrap_or(5),
        width @ 1..=86_400 => width,
        _ => return Err(ServiceError::invalid("bucket_s", "must be 1 to 86400")),
    };
    if span_s / i64::from(bucket_s) > MAX_POINTS {
        return Err(ServiceError::invalid("bucket_s", "makes more than 2000 buckets"));
    }
    let session = match request.session_id.as_str() {
        "" => None,
        text => {
            Some(Uuid::try_parse(text).map_err(|_| ServiceError::invalid("session_id", "must be a UUID"))?)
        }
    };
    Ok(Range {
        from: at_us("from_ms", from_ms.saturating_mul(1_000))?,
        to: at_us("to_ms", to_ms.saturating_mul(1_000))?,
        bucket_s,
        session,
    })
}

fn at_us(field: &str, us: i64) -> Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1_000)
        .map_err(|_| ServiceError::invalid(field, "is no time"))
}

fn to_ms(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

fn to_us(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(0)
}

fn to_config(preference: &Preference, at: Option<OffsetDateTime>) -> pb::UserConfig {
    pb::UserConfig {
        enabled: preference.enabled,
        mode: terms::to_mode(preference.mode).into(),
        target_compression_ratio: preference.target_compression_ratio,
        max_latency_ms: preference.max_latency_ms,
        min_quality_score: preference.min_quality_score,
        enable_fallback: preference.enable_fallback,
        gpu_enabled: preference.gpu_enabled,
        gpu_device_id: preference.gpu_device_id,
        updated_at_ms: at.map_or(0, to_ms),
    }
}

fn to_session(user: Uuid, row: SessionRow) -> pb::Session {
    let usage = Usage::from(row.usage);
    let mode = row.mode.parse().map_or(pb::Mode::Unspecified, terms::to_mode);
    let direction = match row.direction.as_str() {
        "send" => pb::Direction::Send,
        "receive" => pb::Direction::Receive,
        _ => pb::Direction::Unspecified,
    };
    pb::Session {
        id: row.id.to_string(),
        user_id: user.to_string(),
        kind: row.kind,
        room: row.room,
        mode: mode.into(),
        model: row.model,
        started_at_us: to_us(row.started_at),
        ended_at_us: row.ended_at.map_or(0, to_us),
        frames: usage.frames,
        coded_bytes: usage.coded_bytes,
        native_bytes: usage.native_bytes,
        compression_ratio: usage.compression_ratio(),
        quality_score: usage.quality.mean().unwrap_or(0.0),
        latency_mean_ms: usage.latency.mean_ms(),
        latency_p95_ms: usage.latency.percentile_ms(0.95),
        fallbacks: u64::try_from(row.fallbacks).unwrap_or(0),
        last_fallback_reason: row.last_fallback_reason,
        direction: direction.into(),
        track: row.track,
        end_reason: row.end_reason,
        fallback_frames: usage.fallback_frames,
        concealed_frames: usage.concealed_frames,
    }
}

fn to_bucket(bucket: &Bucket) -> pb::Bucket {
    let usage = &bucket.usage;
    pb::Bucket {
        at_ms: bucket.start_s * 1_000,
        frames: usage.frames,
        coded_bytes: usage.coded_bytes,
        native_bytes: usage.native_bytes,
        quality_mean: usage.quality.mean().unwrap_or(0.0),
        quality_min: usage.quality.min.unwrap_or(0.0),
        latency_mean_ms: usage.latency.mean_ms(),
        latency_p95_ms: usage.latency.percentile_ms(0.95),
        fallbacks: usage
            .fallbacks
            .iter()
            .map(|(reason, times)| (reason.as_str().to_owned(), *times))
            .collect(),
        fallback_share: usage.fallback_share(),
        sessions: bucket.sessions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_defaults_and_bounds() {
        let now = 1_700_000_000_000;
        let ask = |from_ms, to_ms, bucket_s| {
            range(&pb::GetMetricsRequest { from_ms, to_ms, bucket_s, ..Default::default() }, now)
        };
        let hour = ask(0, 0, 0).unwrap();
        assert_eq!((hour.bucket_s, hour.to.unix_timestamp() - hour.from.unix_timestamp()), (30, 3_600));
        assert_eq!(ask(now - 60_000, 0, 0).unwrap().bucket_s, 5);
        let field = |result: Result<Range>| result.unwrap_err().fields()[0].field.clone();
        assert_eq!(field(ask(now + 1, 0, 0)), "from_ms");
        assert_eq!(field(ask(now - 367 * 86_400_000, 0, 0)), "from_ms");
        assert_eq!(field(ask(now - 86_400_000, 0, 1)), "bucket_s");
        assert_eq!(field(ask(0, 0, 86_401)), "bucket_s");
        assert_eq!(field(ask(i64::MIN, i64::MAX, 0)), "from_ms");
    }
}
