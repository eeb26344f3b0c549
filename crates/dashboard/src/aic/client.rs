//! gRPC client of `auralink.aic.v1.AicConsole`. A person waits behind each call, so deadlines are short. Every call
//! may happen twice: settings end up the same, reports are counted by their sequence.

use super::wire;
use crate::engine::aic::{Change, Report, Span};
use crate::engine::page::{Cursor, Window};
use crate::model::{AicAlert, AicConfig, AicMetrics, AicModelHour, AicSession, Page};
use aura_proto::aic::v1::aic_console_client::AicConsoleClient;
use aura_proto::aic::v1::{
    GetConfigRequest, GetMetricsRequest, GetModelPerformanceRequest, ListAlertsRequest, ListSessionsRequest,
};
use aura_service::grpc::Channel;
use aura_types::{Coded, ErrorCode, UserId};
use std::time::Duration;
use tonic::{Code, Request, Status};

const DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub(crate) enum AicError {
    #[error("the codec service is away: {0}")]
    Away(String),
    #[error("{field}: {message}")]
    Invalid { field: String, message: String },
    #[error("the codec service takes no more: {0}")]
    Busy(String),
    #[error("the codec service answered what cannot be understood: {0}")]
    Garbled(&'static str),
}

impl Coded for AicError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Away(_) => ErrorCode::Unavailable,
            Self::Invalid { .. } => ErrorCode::InvalidArgument,
            Self::Busy(_) => ErrorCode::ResourceExhausted,
            Self::Garbled(_) => ErrorCode::Internal,
        }
    }

    fn safe_message(&self) -> String {
        match self {
            Self::Away(_) => "the codec service is away".to_owned(),
            Self::Invalid { message, .. } => message.clone(),
            Self::Busy(_) => "the codec service takes no more right now".to_owned(),
            Self::Garbled(_) => "the codec service answered something unexpected".to_owned(),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid { field, .. } => Some(field).filter(|field| !field.is_empty()).map(String::as_str),
            _ => None,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Aic {
    client: AicConsoleClient<Channel>,
}

impl Aic {
    /// Calls that may happen twice.
    pub(crate) const IDEMPOTENT: [&str; 7] = [
        "/auralink.aic.v1.AicConsole/GetConfig",
        "/auralink.aic.v1.AicConsole/PutConfig",
        "/auralink.aic.v1.AicConsole/ListSessions",
        "/auralink.aic.v1.AicConsole/GetMetrics",
        "/auralink.aic.v1.AicConsole/ReportUsage",
        "/auralink.aic.v1.AicConsole/ListAlerts",
        "/auralink.aic.v1.AicConsole/GetModelPerformance",
    ];

    pub(crate) fn new(channel: Channel) -> Self {
        Self { client: AicConsoleClient::new(channel) }
    }

    pub(crate) async fn config(&self, user: UserId) -> Result<AicConfig, AicError> {
        let request = within(GetConfigRequest { user_id: user.to_string() });
        let reply = self.client.clone().get_config(request).await.map_err(|status| fault(&status))?;
        wire::config(&reply.into_inner())
    }

    /// Changes what is given and answers with the whole.
    pub(crate) async fn change_config(&self, user: UserId, change: Change) -> Result<AicConfig, AicError> {
        let request = within(wire::change(user, change));
        let reply = self.client.clone().put_config(request).await.map_err(|status| fault(&status))?;
        wire::config(&reply.into_inner())
    }

    pub(crate) async fn sessions(
        &self,
        user: UserId,
        window: Window,
        only_open: bool,
    ) -> Result<Page<AicSession>, AicError> {
        let (before_us, before_id) = if window.after == Cursor::START {
            (0, String::new())
        } else {
            (wire::micros(window.after.created_at), window.after.id.to_string())
        };
        let request = within(ListSessionsRequest {
            user_id: user.to_string(),
            limit: u32::try_from(window.limit).unwrap_or(u32::MAX),
            before_us,
            before_id,
            only_open,
        });
        let reply = self.client.clone().list_sessions(request).await.map_err(|status| fault(&status))?;
        wire::sessions(reply.into_inner())
    }

    /// `session_id` may be empty: all of them.
    pub(crate) async fn metrics(
        &self,
        user: UserId,
        span: Span,
        session_id: String,
    ) -> Result<AicMetrics, AicError> {
        let request = within(GetMetricsRequest {
            user_id: user.to_string(),
            from_ms: wire::millis(span.from),
            to_ms: wire::millis(span.to),
            bucket_s: span.bucket_s,
            session_id,
        });
        let reply = self.client.clone().get_metrics(request).await.map_err(|status| fault(&status))?;
        wire::metrics(reply.into_inner(), span)
    }

    /// Newest first, at most 100.
    pub(crate) async fn alerts(&self, user: UserId) -> Result<Vec<AicAlert>, AicError> {
        let request = within(ListAlertsRequest { user_id: user.to_string() });
        let reply = self.client.clone().list_alerts(request).await.map_err(|status| fault(&status))?;
        reply.into_inner().alerts.into_iter().map(wire::alert).collect()
    }

    /// The whole server's, of the last `hours`.
    pub(crate) async fn models(&self, user: UserId, hours: u32) -> Result<Vec<AicModelHour>, AicError> {
        let request = within(GetModelPerformanceRequest { user_id: user.to_string(), hours });
        let reply = self.client.clone().get_model_performance(request).await;
        let rows = reply.map_err(|status| fault(&status))?.into_inner().rows;
        rows.into_iter().map(wire::model_hour).collect()
    }

    pub(crate) async fn report(&self, user: UserId, report: Report) -> Result<(), AicError> {
        let request = within(wire::report(user, report));
        let reply = self.client.clone().report_usage(request).await;
        reply.map(|_| ()).map_err(|status| fault(&status))
    }
}

fn within<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

fn fault(status: &Status) -> AicError {
    match status.code() {
        Code::InvalidArgument | Code::OutOfRange => {
            let (field, message) = status.message().split_once(": ").unwrap_or(("", status.message()));
            AicError::Invalid { field: public_name(field).to_owned(), message: message.to_owned() }
        }
        Code::ResourceExhausted => AicError::Busy(status.message().to_owned()),
        code => AicError::Away(format!("{code:?}: {}", status.message())),
    }
}

/// What the REST API calls a field of the service's messages; empty for what is no field.
fn public_name(field: &str) -> &str {
    match field {
        "before_us" | "before_id" => "cursor",
        "from_ms" => "from",
        "to_ms" => "to",
        "gpu_device_id" => "gpu.device_id",
        other if other.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => other,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_keep_the_name_of_the_field() {
        let named = |message: &str| match fault(&Status::invalid_argument(message)) {
            AicError::Invalid { field, message } => (field, message),
            other => panic!("{other}"),
        };
        let pair = |field: &str, message: &str| (field.to_owned(), message.to_owned());
        assert_eq!(named("before_id: is no UUID"), pair("cursor", "is no UUID"));
        assert_eq!(named("max_latency_ms: must be 1..1000"), pair("max_latency_ms", "must be 1..1000"));
        assert_eq!(named("whatever"), pair("", "whatever"));
        assert_eq!(fault(&Status::invalid_argument("whatever")).field(), None);
        for status in [Status::unavailable("x"), Status::deadline_exceeded("x"), Status::unauthenticated("x")]
        {
            assert_eq!(fault(&status).code(), ErrorCode::Unavailable, "{status}");
        }
    }
}
