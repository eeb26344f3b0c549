//! The service: the codec over gRPC, users' configuration, measurements and alerts.
//!
//! `engine` decides and adds up (pure); `session`, `convert` and `stream` are one stream; `pool` are the codec threads;
//! `recorder` and `store` keep what was measured; `api` parses and maps. Audio never waits for the database, and the
//! database being away is no reason to be taken out of service.

mod api;
mod config;
mod convert;
mod engine;
mod pool;
mod preferences;
mod recorder;
mod registry;
mod report;
mod service;
mod session;
mod store;
mod stream;
mod telemetry;
mod terms;
mod unary;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aura_service::auth::KeyError;
use aura_service::auth::service::ServiceKeys;
use aura_service::grpc::Tls;
use aura_service::{Health, Lifecycle, http};
use aura_store::{Database, DatabaseOptions, StoreError};
use aura_types::{SharedClock, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::{CodecError, FRAME, Model};
pub use config::Config;
use engine::seal::Seal;
use pool::Pool;
use preferences::Preferences;
use recorder::Recorder;
use registry::{Limits, Registry};
use service::{Inner, Load, Service};
pub use store::MIGRATOR;

/// The embedded `config.default.toml`.
pub const DEFAULT_CONFIG: &str = include_str!("../config.default.toml");

const LOAD_EVERY: Duration = Duration::from_secs(2);
/// After a start, so that housekeeping does not compete with what callers wait for.
const FIRST_HOUSEKEEPING: Duration = Duration::from_secs(5);

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("auth.service_secret: {0}")]
    ServiceKeys(#[source] KeyError),
    #[error("the database login is not a plain one of this service")]
    PrivilegedRole(#[source] StoreError),
    #[error("the model cannot be used")]
    Model(#[source] CodecError),
}

/// Addresses the service listens on, once started.
#[derive(Debug, Clone, Copy)]
pub struct Running {
    /// Internal gRPC.
    pub grpc: SocketAddr,
    /// Health and metrics.
    pub admin: SocketAddr,
}

/// Starts everything; the process shell waits for shutdown.
///
/// # Errors
/// When an address cannot be had, or the model or the configuration cannot be used.
pub async fn run(config: Config, lifecycle: Lifecycle) -> anyhow::Result<()> {
    start(config, lifecycle, SystemClock::shared()).await?;
    Ok(())
}

/// Starts everything on the given clock and says where it listens.
///
/// # Errors
/// As [`run`].
pub async fn start(config: Config, lifecycle: Lifecycle, clock: SharedClock) -> anyhow::Result<Running> {
    let grpc_listener = http::bind(config.grpc_addr).await?;
    let admin_listener = http::bind(config.admin_addr).await?;
    let keys = ServiceKeys::new(&config.auth.service_secret).map_err(StartError::ServiceKeys)?;
    let tls = config.grpc_tls.as_ref().map(Tls::load).transpose()?;
    let db = open_database(&config).await?;

    // Probes may ask before the model is there; callers wait in the listener's queue.
    let is_loaded = Arc::new(AtomicBool::new(false));
    let health = Health::new("aic-codec", env!("CARGO_PKG_VERSION"), lifecycle.clone(), Arc::clone(&clock));
    let loaded = Arc::clone(&is_loaded);
    health.add("model", move || std::future::ready(loaded.load(Ordering::Acquire)));
    let admin = http::serve(admin_listener, health.router(), &lifecycle, "admin")?;

    let model = load_model(&config).await?;
    telemetry::describe(model.id());
    let service = assemble(&config, model, db, clock, &lifecycle, grpc_listener.local_addr()?)?;
    spawn_tasks(&config, &service);
    let grpc = api::serve(&service, grpc_listener, keys, tls, &health)?;
    is_loaded.store(true, Ordering::Release);
    Ok(Running { grpc, admin })
}

async fn open_database(config: &Config) -> anyhow::Result<Database> {
    let db = Database::new(DatabaseOptions {
        max_connections: config.database.max_connections,
        system_connections: config.database.system_connections,
        ..DatabaseOptions::for_service("aic", config.database.url.expose())
    })?;
    match db.verify().await {
        Ok(()) => {}
        Err(error @ StoreError::PrivilegedRole { .. }) => {
            return Err(StartError::PrivilegedRole(error).into());
        }
        Err(error) => tracing::warn!(%error, "starting without the database"),
    }
    Ok(db)
}

/// Loads the model and runs it for a while: the first frames after loading are slow, and a model that cannot code must
/// not be served.
async fn load_model(config: &Config) -> anyhow::Result<Model> {
    let (section, gpu) = (config.model.clone(), config.aic.gpu.clone());
    let loaded = tokio::task::spawn_blocking(move || {
        let model = open_model(&section, &gpu)?;
        let (mut encoder, mut decoder) = (model.encoder(), model.decoder());
        let mut pcm = [0.0; FRAME];
        for frame in 0..section.warm_up_frames {
            for (index, sample) in pcm.iter_mut().enumerate() {
                // A tone in the middle of the voice's range: silence would take short cuts.
                let at = f64::from(frame) * FRAME as f64 + index as f64;
                *sample = (0.3 * (std::f64::consts::TAU * 220.0 * at / 16_000.0).sin()) as f32;
            }
            let codes = encoder.encode(&pcm)?;
            let mut out = [0.0; FRAME];
            decoder.decode(crate::Arrived::Coded { codes: &codes, stages: 12 }, &mut out)?;
        }
        Ok::<_, CodecError>(model)
    });
    let model = loaded.await?.map_err(StartError::Model)?;
    tracing::info!(model = model.id(), backend = model.backend_name(), "the model is loaded");
    Ok(model)
}

fn open_model(section: &config::ModelSection, gpu: &config::GpuSection) -> Result<Model, CodecError> {
    if gpu.enabled {
        return open_on_gpu(section, gpu);
    }
    let backend = section.backend.into();
    if section.dir.as_os_str().is_empty() {
        Model::bundled_on(backend)
    } else {
        Model::load(&section.dir, backend)
    }
}

/// The graphics card is a wish: a machine without one serves on its processor and says so.
fn open_on_gpu(section: &config::ModelSection, gpu: &config::GpuSection) -> Result<Model, CodecError> {
    let mut settings = crate::OnnxSettings::from_env()?;
    settings.device = crate::Device::Cuda(i32::try_from(gpu.device_id).unwrap_or(i32::MAX));
    let opened = if section.dir.as_os_str().is_empty() {
        Model::bundled_onnx(&settings)
    } else {
        Model::load_onnx(&section.dir, &settings)
    };
    opened.or_else(|error| {
        tracing::warn!(%error, "the GPU cannot be used");
        open_model(section, &config::GpuSection { enabled: false, ..gpu.clone() })
    })
}

fn assemble(
    config: &Config,
    model: Model,
    db: Database,
    clock: SharedClock,
    lifecycle: &Lifecycle,
    grpc: SocketAddr,
) -> anyhow::Result<Service> {
    let instance = if config.instance.is_empty() {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "aic-codec".to_owned());
        format!("{host}:{}", grpc.port())
    } else {
        config.instance.clone()
    };
    let pool = Pool::start(config.workers.thread_count(), config.workers.queue, Arc::clone(&clock))?;
    let registry = Registry::new(Limits {
        streams: config.limits.streams,
        streams_per_caller: config.limits.streams_per_caller,
        unary_per_caller: config.limits.unary_per_caller,
        imports: config.limits.imported_sessions,
    });
    let (recorder, recording) = Recorder::new(
        db.clone(),
        Arc::clone(&clock),
        instance.clone(),
        model.id(),
        config.store.backlog_rows,
    );
    let defaults = config.default_preference();
    let (soft, streams, threads) = (lifecycle.soft(), registry.clone(), pool.clone());
    lifecycle.spawn_critical("recorder", async move {
        let stopped = async move {
            soft.cancelled().await;
            streams.idle().await;
            threads.stop();
        };
        recording.run(stopped).await;
        Ok::<_, Infallible>(())
    });
    Ok(Service {
        inner: Arc::new(Inner {
            model,
            pool,
            registry,
            preferences: Preferences::new(db.clone(), Arc::clone(&clock), defaults),
            recorder,
            seal: Seal::new(config.auth.service_secret.expose()),
            db,
            started_at: clock.now(),
            clock,
            lifecycle: lifecycle.clone(),
            instance,
            enabled: config.aic.enabled,
            defaults,
            unary_ms: config.limits.unary_ms,
            idle: Duration::from_secs(u64::from(config.limits.idle_s)),
            flush_every: config.store.flush_every(),
            load: Load::default(),
        }),
    })
}

fn spawn_tasks(config: &Config, service: &Service) {
    let lifecycle = &service.lifecycle;
    let (measured, stop) = (service.clone(), lifecycle.soft());
    lifecycle.spawn_restarting("load", move || measure_load(measured.clone(), stop.clone()));
    let every = Duration::from_secs(u64::from(config.store.housekeeping_s));
    let retention = time::Duration::days(i64::from(config.store.retention_days));
    let (kept, stop) = (service.clone(), lifecycle.soft());
    lifecycle
        .spawn_restarting("housekeeping", move || keep_house(kept.clone(), every, retention, stop.clone()));
}

async fn measure_load(service: Service, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOAD_EVERY);
    let mut last = (service.clock.monotonic(), service.pool.busy());
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let now = (service.clock.monotonic(), service.pool.busy());
        let spent = now.1.saturating_sub(last.1).as_secs_f64();
        let had = now.0.saturating_duration_since(last.0).as_secs_f64() * service.pool.threads() as f64;
        last = now;
        if had > 0.0 {
            service.load.set(spent / had);
        }
        metrics::gauge!("aic_worker_load").set(service.load.get());
        metrics::gauge!("aic_streams_open").set(service.registry.open() as f64);
        metrics::gauge!("aic_jobs_waiting").set(service.pool.queued() as f64);
        telemetry::memory();
        service.db.report_metrics();
    }
}

async fn keep_house(service: Service, every: Duration, retention: time::Duration, stop: CancellationToken) {
    let mut pause = every.min(FIRST_HOUSEKEEPING);
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = every;
        match store::upkeep::run(&service.db, service.clock.now(), retention).await {
            Ok(done) => tracing::info!(
                done.partitions_made,
                done.partitions_dropped,
                done.sessions_lost,
                done.sessions_forgotten,
                done.alerts_closed,
                "housekeeping done"
            ),
            Err(error) => tracing::warn!(%error, "housekeeping will be tried again"),
        }
    }
}
