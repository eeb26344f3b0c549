//! `/aic`: low-bandwidth audio. The codec service keeps it all; here it is asked on the caller's behalf.

use super::caller::CurrentUser;
use super::object::Object;
use super::problem::{CodecAway, Forbidden, Invalid, TooMany, Unauthenticated};
use crate::app::App;
use crate::engine::aic::{Change, ClientSource, Direction, Gpu, Mode, Reason, Report, Span};
use crate::engine::page::Window;
use crate::model::{AicAlert, AicConfig, AicMetrics, AicModelHour, AicSession, Items, Page};
use crate::sfu::RoomName;
use aura_service::error::{Result, ServiceError};
use aura_service::http::{Json, Query};
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutAicConfigRequest {
    enabled: bool,
    mode: Mode,
    /// The share of the replaced stream's bytes to save.
    #[schema(minimum = 0, maximum = 0.99)]
    target_compression_ratio: f64,
    #[schema(minimum = 1, maximum = 1000)]
    max_latency_ms: f64,
    #[schema(minimum = 0, maximum = 1)]
    min_quality_score: f64,
    enable_fallback: bool,
    /// Absent: off.
    #[serde(default, deserialize_with = "super::object::optional")]
    gpu: Option<Gpu>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeAicConfigRequest {
    enabled: Option<bool>,
    mode: Option<Mode>,
    #[schema(minimum = 0, maximum = 0.99)]
    target_compression_ratio: Option<f64>,
    #[schema(minimum = 1, maximum = 1000)]
    max_latency_ms: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    min_quality_score: Option<f64>,
    enable_fallback: Option<bool>,
    #[serde(default, deserialize_with = "super::object::optional")]
    gpu: Option<Gpu>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MetricsQuery {
    /// RFC 3339; an hour before `to` when absent, at most 31 days before it.
    #[param(format = DateTime)]
    from: Option<String>,
    /// RFC 3339; now when absent.
    #[param(format = DateTime)]
    to: Option<String>,
    /// Length of a bucket in seconds; chosen for about 120 points when absent, at most 2,000 points.
    #[param(minimum = 5, maximum = 86400)]
    bucket_s: Option<u32>,
    /// Only this session.
    session_id: Option<Uuid>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionsQuery {
    /// 1 to 100; 50 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those that are open now.
    open: Option<bool>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ModelsQuery {
    /// How far back: 1 to 720; 24 when absent.
    #[param(minimum = 1, maximum = 720)]
    hours: Option<u32>,
}

/// What a client that runs the codec itself did since its last report: one stream, in one direction.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AicUsageReport {
    /// Made by the client; the first report opens the session.
    session_id: Uuid,
    /// 0, 1, 2 …: one that is not above the last changes nothing, so reports may be sent again.
    sequence: u64,
    /// A room's id, or `call-` and a call's id.
    #[schema(max_length = 64)]
    room: Option<String>,
    #[schema(max_length = 128)]
    track: Option<String>,
    /// `send` when absent.
    direction: Option<Direction>,
    /// `browser` when absent.
    source: Option<ClientSource>,
    mode: Mode,
    #[schema(example = "aic16m-1", min_length = 1, max_length = 64)]
    model: String,
    /// The time this report is about.
    #[schema(minimum = 1, maximum = 60000)]
    window_ms: u32,
    /// 20 ms each, not more than fit.
    frames: u32,
    /// Frames that went as Opus.
    #[serde(default)]
    fallback_frames: u32,
    /// Frames made up for lost packets.
    #[serde(default)]
    concealed_frames: u32,
    /// Payload as sent or received, fallback included: at most 400 bytes a frame.
    #[schema(minimum = 0)]
    coded_bytes: u64,
    /// What the replaced stream would have taken: 80 bytes a frame for Opus at 32 kbit/s.
    #[schema(minimum = 0)]
    native_bytes: u64,
    /// Quality score of active speech; absent: not measured.
    #[schema(minimum = 0, maximum = 1)]
    quality_mean: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    quality_min: Option<f64>,
    /// Codec time for one frame.
    #[schema(minimum = 0, maximum = 10000)]
    latency_mean_ms: f64,
    #[schema(minimum = 0, maximum = 10000)]
    latency_p95_ms: f64,
    /// How often the codec gave way to Opus, by reason: `quality`, `latency`, `content`, `model_mismatch`,
    /// `overload`, `unavailable`, `disabled`.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, u32>)]
    fallbacks: BTreeMap<Reason, u32>,
    /// The session is over.
    #[serde(default)]
    ended: bool,
}

/// The caller's settings for low-bandwidth audio, or the defaults.
#[utoipa::path(get, path = "/api/v1/aic/config", tag = "aic", operation_id = "read_aic_config",
    responses((status = 200, description = "Done", body = AicConfig), Unauthenticated, Forbidden, CodecAway))]
pub(super) async fn read_config(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
) -> Result<Json<AicConfig>> {
    Ok(Json(app.aic.config(user).await?))
}

/// Replaces the caller's settings.
#[utoipa::path(put, path = "/api/v1/aic/config", tag = "aic", operation_id = "put_aic_config",
    request_body = PutAicConfigRequest, responses((status = 200, description = "Done", body = AicConfig), Invalid, Unauthenticated, Forbidden, TooMany, CodecAway))]
pub(super) async fn put_config(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Object(body): Object<PutAicConfigRequest>,
) -> Result<Json<AicConfig>> {
    let whole = Change {
        enabled: Some(body.enabled),
        mode: Some(body.mode),
        target_compression_ratio: Some(body.target_compression_ratio),
        max_latency_ms: Some(body.max_latency_ms),
        min_quality_score: Some(body.min_quality_score),
        enable_fallback: Some(body.enable_fallback),
        gpu: Some(body.gpu.unwrap_or_default()),
    };
    Ok(Json(app.aic.change_config(user, whole.checked()?).await?))
}

/// Changes what is given and keeps the rest.
#[utoipa::path(post, path = "/api/v1/aic/config", tag = "aic", operation_id = "change_aic_config",
    request_body = ChangeAicConfigRequest, responses((status = 200, description = "Done", body = AicConfig), Invalid, Unauthenticated, Forbidden, TooMany, CodecAway))]
pub(super) async fn change_config(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Object(body): Object<ChangeAicConfigRequest>,
) -> Result<Json<AicConfig>> {
    let change = Change {
        enabled: body.enabled,
        mode: body.mode,
        target_compression_ratio: body.target_compression_ratio,
        max_latency_ms: body.max_latency_ms,
        min_quality_score: body.min_quality_score,
        enable_fallback: body.enable_fallback,
        gpu: body.gpu,
    };
    Ok(Json(app.aic.change_config(user, change.checked()?).await?))
}

/// What the codec did for the caller in a span of time: compression, quality, codec time, fallbacks.
#[utoipa::path(get, path = "/api/v1/aic/metrics", tag = "aic", operation_id = "read_aic_metrics",
    params(MetricsQuery),
    responses((status = 200, description = "Done", body = AicMetrics), Invalid, Unauthenticated, Forbidden, TooMany, CodecAway))]
pub(super) async fn read_metrics(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Query(query): Query<MetricsQuery>,
) -> Result<Json<AicMetrics>> {
    let span = Span::parse(query.from.as_deref(), query.to.as_deref(), query.bucket_s, app.now())?;
    let session = query.session_id.map(|id| id.to_string()).unwrap_or_default();
    Ok(Json(app.aic.metrics(user, span, session).await?))
}

/// Takes the usage report of a client that runs the codec itself. Send one every 5 to 60 seconds.
#[utoipa::path(post, path = "/api/v1/aic/metrics", tag = "aic", operation_id = "report_aic_usage",
    request_body = AicUsageReport, responses((status = 204, description = "Taken"), Invalid, Unauthenticated, Forbidden, TooMany, CodecAway))]
pub(super) async fn report_usage(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Object(body): Object<AicUsageReport>,
) -> Result<StatusCode> {
    let report = Report::from(body).checked()?;
    if !report.room.is_empty() && RoomName::parse(&report.room).is_none() {
        return Err(ServiceError::invalid("room", "is not the name of a room"));
    }
    app.throttle.aic_report(&user.to_string()).await?;
    app.aic.report(user, report).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's streams through the codec, newest first.
#[utoipa::path(get, path = "/api/v1/aic/sessions", tag = "aic", operation_id = "list_aic_sessions",
    params(SessionsQuery),
    responses((status = 200, description = "Done", body = Page<AicSession>), Invalid, Unauthenticated, Forbidden, TooMany, CodecAway))]
pub(super) async fn list_sessions(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Query(query): Query<SessionsQuery>,
) -> Result<Json<Page<AicSession>>> {
    let window = Window::parse(query.limit, query.cursor.as_deref())?;
    Ok(Json(app.aic.sessions(user, window, query.open.unwrap_or(false)).await?))
}

/// What went wrong for minutes in the caller's streams: slow coding, much fallback. The last 100, newest first.
#[utoipa::path(get, path = "/api/v1/aic/alerts", tag = "aic", operation_id = "list_aic_alerts",
    responses((status = 200, description = "Done", body = Items<AicAlert>), Unauthenticated, Forbidden, CodecAway))]
pub(super) async fn list_alerts(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
) -> Result<Json<Items<AicAlert>>> {
    Ok(Json(Items { items: app.aic.alerts(user).await? }))
}

/// What each model did by the hour, for everybody on this server, newest first. Nobody can be told from it.
#[utoipa::path(get, path = "/api/v1/aic/models", tag = "aic", operation_id = "list_aic_models",
    params(ModelsQuery),
    responses((status = 200, description = "Done", body = Items<AicModelHour>), Invalid, Unauthenticated, Forbidden, CodecAway))]
pub(super) async fn list_models(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Query(query): Query<ModelsQuery>,
) -> Result<Json<Items<AicModelHour>>> {
    let hours = query.hours.unwrap_or(24);
    if !(1..=720).contains(&hours) {
        return Err(ServiceError::invalid("hours", "must be 1 to 720"));
    }
    Ok(Json(Items { items: app.aic.models(user, hours).await? }))
}

impl From<AicUsageReport> for Report {
    fn from(body: AicUsageReport) -> Self {
        Self {
            session_id: body.session_id,
            sequence: body.sequence,
            room: body.room.unwrap_or_default(),
            track: body.track.unwrap_or_default(),
            direction: body.direction.unwrap_or(Direction::Send),
            source: body.source.unwrap_or(ClientSource::Browser),
            mode: body.mode,
            model: body.model,
            window_ms: body.window_ms,
            frames: body.frames,
            fallback_frames: body.fallback_frames,
            concealed_frames: body.concealed_frames,
            coded_bytes: body.coded_bytes,
            native_bytes: body.native_bytes,
            quality_mean: body.quality_mean,
            quality_min: body.quality_min,
            latency_mean_ms: body.latency_mean_ms,
            latency_p95_ms: body.latency_p95_ms,
            fallbacks: body.fallbacks,
            ended: body.ended,
        }
    }
}
