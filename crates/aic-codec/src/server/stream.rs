//! One bidirectional stream: its first message opens a session, every packet goes to a codec thread and its answers
//! back, in order. One packet of a stream is worked on at a time; a caller that sends faster is held by flow control.
//!
//! The stream ends when its caller half-closes, the session moves, the replica drains, or nothing comes for too long:
//! always with `closed` as the last message. Faults of the caller end it with a status.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aura_proto::aic::v1 as pb;
use aura_proto::aic::v1::stream_closed::Reason as Closing;
use aura_proto::aic::v1::stream_request::Message as Asked;
use aura_proto::aic::v1::stream_response::Message as Answer;
use aura_service::ServiceError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use super::engine::seal;
use super::pool::{PoolError, Urgency};
use super::registry::{ExportReply, StreamSlot};
use super::service::Service;
use super::session::{Moved, Opening, Session};
use super::terms::{self, Kind};
use super::{api, telemetry};

/// Answers that may wait for a caller that does not read; then its packets wait too.
const ANSWERS: usize = 64;
/// How long the first message may take.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// What goes back to the caller.
pub(crate) type Answers = ReceiverStream<Result<pb::StreamResponse, Status>>;

/// Starts the stream's task.
pub(crate) fn start(
    service: &Service,
    kind: Kind,
    caller: String,
    requests: Streaming<pb::StreamRequest>,
) -> Answers {
    let (answers, receiver) = mpsc::channel(ANSWERS);
    let task = Stream { service: service.clone(), kind, caller, requests, answers };
    let hard = service.lifecycle.hard();
    service.lifecycle.spawn("stream", async move {
        let answers = task.answers.clone();
        let code = match hard.run_until_cancelled(task.run()).await {
            Some(Ok(())) => Code::Ok,
            Some(Err(Ended::Status(status))) => {
                let code = status.code();
                let _ = answers.send(Err(status)).await;
                code
            }
            Some(Err(Ended::CallerGone)) => Code::Cancelled,
            None => Code::Unavailable,
        };
        telemetry::request(code);
    });
    ReceiverStream::new(receiver)
}

/// Why a stream ended before its end.
enum Ended {
    /// Nobody reads or writes any more.
    CallerGone,
    Status(Status),
}

impl From<ServiceError> for Ended {
    fn from(error: ServiceError) -> Self {
        Self::Status(error.into())
    }
}

struct Stream {
    service: Service,
    kind: Kind,
    caller: String,
    requests: Streaming<pb::StreamRequest>,
    answers: mpsc::Sender<Result<pb::StreamResponse, Status>>,
}

/// A session while its stream is open.
struct Open {
    session: Arc<Mutex<Session>>,
    exports: mpsc::Receiver<ExportReply>,
    _slot: StreamSlot,
}

impl Stream {
    async fn run(mut self) -> Result<(), Ended> {
        self.service.refuse_while_draining()?;
        let open = match tokio::time::timeout(OPEN_LIMIT, self.requests.message()).await {
            Err(_) => Err(ServiceError::invalid("open", "must be the first message, within 10 s"))?,
            Ok(Err(_)) | Ok(Ok(None)) => return Err(Ended::CallerGone),
            Ok(Ok(Some(pb::StreamRequest { message: Some(Asked::Open(open)) }))) => open,
            Ok(Ok(Some(_))) => Err(ServiceError::invalid("open", "must be the first message"))?,
        };
        let mut open = self.open(open).await?;
        let outcome = self.serve(&mut open).await;
        if outcome.is_err() {
            // Whatever broke, what was measured is kept.
            self.record(&open.session, Some("failed"));
        }
        outcome
    }

    async fn open(&mut self, open: pb::StreamOpen) -> Result<Open, Ended> {
        let service = &self.service;
        let session = if open.resume_session_id.is_empty() {
            let opening = self.opening(open).await?;
            let (model, instance, now) =
                (service.model.clone(), service.instance.clone(), service.clock.now());
            let opened =
                service.pool.run(Urgency::Live, move |_| Session::open(opening, &model, &instance, now));
            opened.await.map_err(ServiceError::from)?.map_err(ServiceError::from)?
        } else {
            let id = Uuid::try_parse(&open.resume_session_id)
                .map_err(|_| ServiceError::invalid("open.resume_session_id", "must be a UUID"))?;
            *service
                .registry
                .resume(id, &self.caller, service.clock.monotonic())
                .ok_or_else(|| ServiceError::not_found("imported session"))?
        };
        let (slot, exports) =
            service.registry.enter(session.id(), &self.caller).map_err(ServiceError::from)?;
        let opened = session.opened();
        let session = Arc::new(Mutex::new(session));
        self.record(&session, None);
        self.answer(Answer::Opened(opened)).await?;
        Ok(Open { session, exports, _slot: slot })
    }

    async fn opening(&self, open: pb::StreamOpen) -> Result<Opening, ServiceError> {
        let service = &self.service;
        let user = terms::user_or_nobody(&open.user_id)?;
        let input = terms::input(self.kind, open.input.as_ref())?;
        let output = terms::output(self.kind, open.output.as_ref())?;
        let model_mismatch = api::codec::model_mismatch(&service.model, &open.model, input, output)?;
        let mut opening = Opening {
            id: Uuid::now_v7(),
            user,
            kind: self.kind,
            caller: self.caller.clone(),
            room: terms::text("open.room", &open.room, 256)?,
            track: terms::text("open.track", &open.track, 128)?,
            direction: terms::direction("open.direction", open.direction)?,
            input,
            output,
            preference: service.defaults,
            model_mismatch,
        };
        // The database comes last: what is malformed is refused without it.
        terms::narrowed(service.defaults, open.targets.as_ref())?;
        let mut preference = service.preferences.of(user).await;
        preference.enabled &= service.enabled;
        opening.preference = terms::narrowed(preference, open.targets.as_ref())?;
        Ok(opening)
    }

    async fn serve(&mut self, open: &mut Open) -> Result<(), Ended> {
        let soft = self.service.lifecycle.soft();
        let idle = self.service.idle;
        let mut flush = tokio::time::interval(self.service.flush_every);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        flush.reset();
        let mut deadline = tokio::time::Instant::now() + idle;
        loop {
            tokio::select! {
                // An export or the end of the replica comes between packets, whatever waits.
                biased;
                Some(reply) = open.exports.recv() => return self.export(open, reply).await,
                () = soft.cancelled() => return self.drain(open).await,
                _ = flush.tick() => self.record(&open.session, None),
                message = self.requests.message() => {
                    deadline = tokio::time::Instant::now() + idle;
                    match message {
                        Ok(Some(request)) => self.request(open, request).await?,
                        Ok(None) => return self.end(open, Closing::Ended, "ended").await,
                        Err(_) => return Err(Ended::CallerGone),
                    }
                }
                () = tokio::time::sleep_until(deadline) => return self.end(open, Closing::Idle, "idle").await,
            }
        }
    }

    async fn request(&mut self, open: &Open, request: pb::StreamRequest) -> Result<(), Ended> {
        match request.message {
            Some(Asked::Packet(packet)) => self.packet(open, packet).await,
            Some(Asked::Control(control)) => {
                let session = Arc::clone(&open.session);
                let changed = self.on_thread(move |_| lock(&session).control(&control)).await?;
                Ok(changed?)
            }
            Some(Asked::Open(_)) => Err(ServiceError::invalid("open", "is only the first message"))?,
            None => Err(ServiceError::invalid("message", "is missing"))?,
        }
    }

    async fn packet(&mut self, open: &Open, packet: pb::Packet) -> Result<(), Ended> {
        let sequence = packet.sequence;
        let session = Arc::clone(&open.session);
        let job = move |waited| lock(&session).take(&packet, waited);
        match self.service.pool.run(Urgency::Live, job).await {
            Ok(Ok(packets)) => {
                for packet in packets {
                    self.answer(Answer::Packet(packet)).await?;
                }
                Ok(())
            }
            Ok(Err(refusal)) => {
                telemetry::error(refusal.kind(), 1);
                let reason = refusal.to_string();
                self.answer(Answer::Refused(pb::PacketRefused { sequence, reason })).await
            }
            Err(PoolError::Full) => {
                telemetry::error("overload", 1);
                lock(&open.session).overloaded();
                let reason = "overload".to_owned();
                self.answer(Answer::Refused(pb::PacketRefused { sequence, reason })).await
            }
            Err(error) => Err(ServiceError::from(error))?,
        }
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        job: impl FnOnce(Duration) -> T + Send + 'static,
    ) -> Result<T, Ended> {
        self.service.pool.run(Urgency::Live, job).await.map_err(|error| ServiceError::from(error).into())
    }

    /// Sends what is buffered and says goodbye.
    async fn end(&mut self, open: &Open, reason: Closing, word: &'static str) -> Result<(), Ended> {
        let session = Arc::clone(&open.session);
        for packet in self.on_thread(move |_| lock(&session).finish()).await? {
            self.answer(Answer::Packet(packet)).await?;
        }
        self.record(&open.session, Some(word));
        self.close(open, reason, None).await
    }

    /// The state goes to whoever asked for it, and the stream ends without what is buffered: that moved too.
    async fn export(&mut self, open: &Open, reply: oneshot::Sender<Option<Moved>>) -> Result<(), Ended> {
        match self.sealed(open).await {
            Ok(state) => {
                let _ = reply.send(Some(Moved { state }));
                self.close(open, Closing::Moved, None).await
            }
            Err(ended) => {
                let _ = reply.send(None);
                Err(ended)
            }
        }
    }

    async fn drain(&mut self, open: &Open) -> Result<(), Ended> {
        let state = self.sealed(open).await?;
        self.close(open, Closing::Draining, Some(state)).await
    }

    async fn sealed(&mut self, open: &Open) -> Result<pb::SessionState, Ended> {
        // Sums do not move: they are counted here, and the next report counts on.
        self.record(&open.session, Some("moved"));
        let session = Arc::clone(&open.session);
        let model = self.service.model.clone();
        let body = self.on_thread(move |_| lock(&session).snapshot(&model)).await?;
        let sealed = self.service.seal.close(&body, self.service.clock.unix_ms());
        if sealed.len() > seal::MAX_BYTES {
            Err(ServiceError::internal(std::io::Error::other("a session's state is too large to move")))?;
        }
        Ok(pb::SessionState {
            session_id: lock(&open.session).id().to_string(),
            model: self.service.model.id().to_owned(),
            state: sealed.into(),
        })
    }

    async fn close(
        &mut self,
        open: &Open,
        reason: Closing,
        state: Option<pb::SessionState>,
    ) -> Result<(), Ended> {
        let closed = {
            let session = lock(&open.session);
            pb::StreamClosed {
                reason: reason.into(),
                last_taken: session.last_taken(),
                usage: Some(api::codec::to_usage(session.total())),
                state,
            }
        };
        self.answer(Answer::Closed(closed)).await
    }

    fn record(&self, session: &Mutex<Session>, ended: Option<&'static str>) {
        let report = lock(session).report(self.service.clock.now(), ended);
        if let Some(report) = report {
            self.service.recorder.record(report);
        }
    }

    async fn answer(&self, message: Answer) -> Result<(), Ended> {
        let response = pb::StreamResponse { message: Some(message) };
        // A caller that reads nothing for so long holds a place that others could have.
        self.answers.send_timeout(Ok(response), self.service.idle).await.map_err(|_| Ended::CallerGone)
    }
}

/// Only this stream's own jobs take the lock, one at a time; after a panic the stream ends.
fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}
