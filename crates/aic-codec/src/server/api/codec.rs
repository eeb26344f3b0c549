//! `auralink.aic.v1.AicCodec`: unary conversions, streams, moving sessions, status.

use aura_proto::aic::v1 as pb;
use aura_proto::aic::v1::aic_codec_server::AicCodec;
use aura_service::{Result, ServiceError};
use aura_types::ErrorCode;
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use super::caller;
use crate::server::engine::seal::SealError;
use crate::server::engine::usage::Usage;
use crate::server::pool::Urgency;
use crate::server::registry::IMPORT_LIFE;
use crate::server::service::Service;
use crate::server::session::{Session, StateFault};
use crate::server::stream::{self, Answers};
use crate::server::terms::{self, Input, Kind, Output};
use crate::server::{telemetry, unary};
use crate::{Model, Rate};

pub(crate) struct Codec {
    service: Service,
}

impl Codec {
    pub(crate) fn new(service: Service) -> Self {
        Self { service }
    }

    fn stream(
        &self,
        kind: Kind,
        request: Request<Streaming<pb::StreamRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(stream::start(&self.service, kind, caller, request.into_inner())))
    }

    async fn convert(
        &self,
        caller: Result<String>,
        call: unary::Call,
    ) -> Result<Response<pb::AudioResponse>, Status> {
        let outcome = match caller {
            Ok(caller) => unary::convert(&self.service, caller, call).await,
            Err(error) => Err(error),
        };
        counted(outcome)
    }

    async fn import(&self, caller: String, state: &pb::SessionState) -> Result<pb::ImportSessionResponse> {
        let service = &self.service;
        service.refuse_while_draining()?;
        if state.model != service.model.id() {
            return Err(model_error("model"));
        }
        let sealed = state.state.clone();
        let (seal, model, instance) = (service.seal.clone(), service.model.clone(), service.instance.clone());
        let (defaults, now, now_ms) = (service.defaults, service.clock.now(), service.clock.unix_ms());
        let open = move |_| {
            let (body, tag) = seal.open(&sealed, now_ms).map_err(ImportFault::Seal)?;
            let session = Session::restore(body, &model, &instance, defaults, now)?;
            Ok::<_, ImportFault>((Box::new(session), tag))
        };
        let (session, tag) = service.pool.run(Urgency::Live, open).await?.map_err(|fault| match fault {
            ImportFault::Seal(fault) => ServiceError::invalid("state", fault.to_string()),
            ImportFault::State(StateFault::Model) => model_error("state"),
            ImportFault::State(fault) => ServiceError::invalid("state", fault.to_string()),
        })?;
        if session.caller() != caller {
            return Err(ServiceError::permission_denied("state: belongs to another service's session"));
        }
        let session_id = session.id().to_string();
        if session_id != state.session_id {
            return Err(ServiceError::invalid("session_id", "is not that of the state"));
        }
        service.registry.import(session, tag, service.clock.monotonic())?;
        Ok(pb::ImportSessionResponse {
            session_id,
            expires_in_s: u32::try_from(IMPORT_LIFE.as_secs()).unwrap_or(u32::MAX),
        })
    }
}

#[derive(Debug, thiserror::Error)]
enum ImportFault {
    #[error(transparent)]
    Seal(SealError),
    #[error(transparent)]
    State(#[from] StateFault),
}

#[tonic::async_trait]
impl AicCodec for Codec {
    type CompressStreamStream = Answers;
    type DecompressStreamStream = Answers;
    type TranscodeStreamStream = Answers;

    async fn compress(
        &self,
        request: Request<pb::CompressRequest>,
    ) -> Result<Response<pb::AudioResponse>, Status> {
        let caller = caller(&request);
        let pb::CompressRequest { user_id, input, output, targets } = request.into_inner();
        let model = String::new();
        self.convert(caller, unary::Call { kind: Kind::Compress, user_id, input, output, targets, model })
            .await
    }

    async fn decompress(
        &self,
        request: Request<pb::DecompressRequest>,
    ) -> Result<Response<pb::AudioResponse>, Status> {
        let caller = caller(&request);
        let pb::DecompressRequest { user_id, input, output, model } = request.into_inner();
        let targets = None;
        self.convert(caller, unary::Call { kind: Kind::Decompress, user_id, input, output, targets, model })
            .await
    }

    async fn transcode(
        &self,
        request: Request<pb::TranscodeRequest>,
    ) -> Result<Response<pb::AudioResponse>, Status> {
        let caller = caller(&request);
        let pb::TranscodeRequest { user_id, input, output, targets, model } = request.into_inner();
        self.convert(caller, unary::Call { kind: Kind::Transcode, user_id, input, output, targets, model })
            .await
    }

    async fn compress_stream(
        &self,
        request: Request<Streaming<pb::StreamRequest>>,
    ) -> Result<Response<Answers>, Status> {
        self.stream(Kind::Compress, request)
    }

    async fn decompress_stream(
        &self,
        request: Request<Streaming<pb::StreamRequest>>,
    ) -> Result<Response<Answers>, Status> {
        self.stream(Kind::Decompress, request)
    }

    async fn transcode_stream(
        &self,
        request: Request<Streaming<pb::StreamRequest>>,
    ) -> Result<Response<Answers>, Status> {
        self.stream(Kind::Transcode, request)
    }

    async fn export_session(
        &self,
        request: Request<pb::ExportSessionRequest>,
    ) -> Result<Response<pb::SessionState>, Status> {
        let caller = caller(&request)?;
        let id = Uuid::try_parse(&request.into_inner().session_id)
            .map_err(|_| ServiceError::invalid("session_id", "must be a UUID"))?;
        let moved = self.service.registry.export(id, &caller).await;
        counted(moved.map(|moved| moved.state).ok_or_else(|| ServiceError::not_found("session")))
    }

    async fn import_session(
        &self,
        request: Request<pb::SessionState>,
    ) -> Result<Response<pb::ImportSessionResponse>, Status> {
        let caller = caller(&request)?;
        counted(self.import(caller, request.get_ref()).await)
    }

    async fn get_status(&self, _: Request<pb::GetStatusRequest>) -> Result<Response<pb::Status>, Status> {
        let service = &self.service;
        let (inference_p95_ms, fallback_rate) = service.recorder.last_minute();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Response::new(pb::Status {
            instance: service.instance.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            enabled: service.enabled,
            model: service.model.id().to_owned(),
            backend: service.model.backend_name().to_owned(),
            workers: count(service.pool.threads()),
            streams: count(service.registry.open()),
            max_streams: count(service.registry.max_streams()),
            queued: count(service.pool.queued()),
            load: service.load.get(),
            inference_p95_ms,
            fallback_rate,
            draining: service.lifecycle.is_draining(),
            started_at_ms: i64::try_from(service.started_at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0),
            max_unary_ms: service.unary_ms,
            rates_bps: Rate::ALL.iter().map(|rate| rate.bps()).collect(),
            database: service.recorder.database_answers(),
        }))
    }
}

fn counted<T>(outcome: Result<T>) -> Result<Response<T>, Status> {
    let outcome = outcome.map(Response::new).map_err(Status::from);
    telemetry::request(outcome.as_ref().map_or_else(Status::code, |_| Code::Ok));
    outcome
}

fn model_error(field: &str) -> ServiceError {
    ServiceError::new(ErrorCode::FailedPrecondition, format!("{field}: is of another model"))
}

/// Whether the peer's model is another. What it has coded cannot be decoded then.
pub(crate) fn model_mismatch(model: &Model, theirs: &str, input: Input, output: Output) -> Result<bool> {
    let theirs = terms::text("model", theirs, 64)?;
    let mismatch = !theirs.is_empty() && theirs != model.id();
    if mismatch && input == Input::Aic {
        return Err(model_error("model"));
    }
    Ok(mismatch && matches!(output, Output::Aic { .. }))
}

/// As the contract shows it.
pub(crate) fn to_usage(usage: &Usage) -> pb::Usage {
    pb::Usage {
        frames: usage.frames,
        input_bytes: usage.input_bytes,
        output_bytes: usage.output_bytes,
        reference_bytes: usage.native_bytes,
        compression_ratio: usage.compression_ratio(),
        saved_bytes: usage.saved_bytes(),
        quality_mean: usage.quality.mean(),
        quality_min: usage.quality.min,
        inference_mean_ms: usage.latency.mean_ms(),
        inference_p95_ms: usage.latency.percentile_ms(0.95),
        fallback_frames: usage.fallback_frames,
        concealed_frames: usage.concealed_frames,
        fallbacks: usage
            .fallbacks
            .iter()
            .map(|(reason, times)| (reason.as_str().to_owned(), *times))
            .collect(),
    }
}
