//! Puts the service together and starts its tasks. Nothing here waits for Postgres, Redis or the SFU: the
//! service starts without them and works as soon as they are there.

use crate::accounts::{Accounts, Lifetimes, Passwords};
use crate::aic::Aic;
use crate::app::App;
use crate::bus;
use crate::calls::Calls;
use crate::config::{Config, seconds};
use crate::error::StartError;
use crate::files::FileStore;
use crate::notify::Notifier;
use crate::removals::Removals;
use crate::sfu::{JoinTokens, Sfu};
use crate::site::Site;
use crate::throttle::Throttle;
use crate::ws::{self, Hub};
use crate::{grpc, housekeeping, server};
use aura_service::auth::service::ServiceKeys;
use aura_service::auth::user::UserKeys;
use aura_service::grpc::{Channel, Tls};
use aura_service::{Health, Lifecycle, http};
use aura_store::bus::{Publisher, Subscriber};
use aura_store::{Database, DatabaseOptions, Redis, RedisRateLimiter, StoreError};
use aura_types::{SharedClock, SystemClock};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use url::Url;

const POOL_METRICS: Duration = Duration::from_secs(5);

/// Addresses the service listens on, once started.
#[derive(Debug, Clone, Copy)]
pub struct Running {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    pub admin: SocketAddr,
}

/// Starts everything; the process shell waits for shutdown.
pub async fn run(config: Config, lifecycle: Lifecycle) -> anyhow::Result<()> {
    start(config, lifecycle, SystemClock::shared()).await?;
    Ok(())
}

/// Starts everything on the given clock and says where it listens.
pub async fn start(config: Config, lifecycle: Lifecycle, clock: SharedClock) -> anyhow::Result<Running> {
    let http_listener = http::bind(config.http_addr).await?;
    let grpc_listener = http::bind(config.grpc_addr).await?;
    let admin_listener = http::bind(config.admin_addr).await?;

    let db = open_database(&config).await?;
    let redis = Redis::new(config.redis.url.expose())?;
    let service_keys = ServiceKeys::new(&config.auth.service_secret).map_err(StartError::ServiceKeys)?;
    let tls = config.grpc_tls.as_ref().map(Tls::load).transpose()?;
    let sfu = Sfu::new(channel(&config.sfu.grpc_url, &Sfu::IDEMPOTENT, &service_keys, tls.clone(), &clock)?);
    let aic = Aic::new(channel(&config.aic.grpc_url, &Aic::IDEMPOTENT, &service_keys, tls.clone(), &clock)?);
    let (publisher, publishing) = Publisher::new(config.redis.url.expose(), Arc::clone(&clock))?;
    let stop = lifecycle.soft();
    lifecycle.spawn_critical("bus-publisher", async move {
        publishing.run(stop).await;
        Ok::<_, Infallible>(())
    });

    let hub = Hub::default();
    let notifier = Notifier::new(hub.clone(), publisher, Arc::clone(&clock));
    let calls = Calls::new(
        db.clone(),
        sfu.clone(),
        Arc::clone(&clock),
        notifier.clone(),
        config.calls.timings(),
        seconds(config.calls.ring_timeout_s),
    );
    let stopping = lifecycle.soft();
    let parts = Parts { db, redis: redis.clone(), clock, sfu, aic, hub, notifier, calls, stopping };
    let app = assemble(&config, parts).await?;
    let health = health(&app, &redis, &lifecycle);

    // A malformed address is found now, not in the task.
    Subscriber::new(config.redis.url.expose(), &bus::CHANNELS)?;
    spawn_tasks(&config, &app, &lifecycle);
    let router = server::router(app.clone(), &health, &config)?;
    Ok(Running {
        http: http::serve(http_listener, router, &lifecycle, "http")?,
        grpc: grpc::serve(grpc_listener, &app, service_keys, tls, &health, &lifecycle)?,
        admin: http::serve(admin_listener, health.router(), &lifecycle, "admin")?,
    })
}

/// What was opened before the application state is put together.
struct Parts {
    db: Database,
    redis: Redis,
    clock: SharedClock,
    sfu: Sfu,
    aic: Aic,
    hub: Hub,
    notifier: Notifier,
    calls: Calls,
    stopping: CancellationToken,
}

async fn assemble(config: &Config, parts: Parts) -> anyhow::Result<App> {
    let keys = UserKeys::parse(config.auth.user_secret.expose()).map_err(StartError::UserKeys)?;
    let keys = Arc::new(keys);
    let passwords = Passwords::new(config.passwords)?;
    let lifetimes = Lifetimes {
        access: seconds(config.tokens.access_s),
        refresh_idle: seconds(config.tokens.refresh_idle_s),
        refresh_grace: seconds(config.tokens.refresh_grace_s),
        login: seconds(config.tokens.login_s),
    };
    let Parts { db, redis, clock, sfu, aic, hub, notifier, calls, stopping } = parts;
    let limiter = Arc::new(RedisRateLimiter::new(redis, Arc::clone(&clock)));
    let files = FileStore::open(config.files.clone())
        .await
        .map_err(|source| StartError::FilesDir { dir: config.files.dir.display().to_string(), source })?;
    let joins =
        JoinTokens::new(&config.auth.livekit_keys, &config.sfu.public_url, seconds(config.tokens.join_s))
            .ok_or(StartError::NoLivekitKey)?;
    let removals = Removals::new(db.clone(), sfu.clone(), Arc::clone(&clock), seconds(config.tokens.join_s));
    Ok(App {
        removals,
        accounts: Accounts::new(
            db.clone(),
            Arc::clone(&clock),
            Arc::clone(&keys),
            passwords.clone(),
            notifier.clone(),
            lifetimes,
        ),
        throttle: Throttle::new(limiter, config.limits),
        site: Arc::new(Site::new(config.public_url.parse().map_err(StartError::PublicUrl)?)),
        db,
        clock,
        keys,
        passwords,
        calls,
        sfu,
        aic,
        joins,
        files,
        hub,
        websocket: config.websocket,
        notifier,
        stopping,
    })
}

async fn open_database(config: &Config) -> anyhow::Result<Database> {
    let db = Database::new(DatabaseOptions {
        max_connections: config.database.max_connections,
        system_connections: config.database.system_connections,
        ..DatabaseOptions::for_service("dashboard", config.database.url.expose())
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

/// To another service. `idempotent` names the calls to repeat when it is away.
fn channel(
    url: &str,
    idempotent: &[&str],
    keys: &ServiceKeys,
    tls: Option<Tls>,
    clock: &SharedClock,
) -> anyhow::Result<Channel> {
    // The certificate must name the host we dial.
    let host = Url::parse(url)?.host_str().unwrap_or_default().to_owned();
    let client = aura_service::grpc::Client::new("dashboard", url, keys.clone(), Arc::clone(clock));
    Ok(client.tls(tls, &host).idempotent(idempotent).connect_lazy()?)
}

fn health(app: &App, redis: &Redis, lifecycle: &Lifecycle) -> Health {
    let health =
        Health::new("dashboard", env!("CARGO_PKG_VERSION"), lifecycle.clone(), Arc::clone(&app.clock));
    let (db, redis) = (app.db.clone(), redis.clone());
    health.add("database", move || {
        let db = db.clone();
        async move { db.ping().await.is_ok() }
    });
    // A hint: without it pushes come late and limits count by instance.
    health.add_soft("redis", move || {
        let redis = redis.clone();
        async move { redis.ping().await.is_ok() }
    });
    health
}

fn spawn_tasks(config: &Config, app: &App, lifecycle: &Lifecycle) {
    let (soft, redis_url) = (lifecycle.soft(), config.redis.url.expose().to_owned());
    let reconcile = Duration::from_secs(u64::from(config.calls.reconcile_s));
    let (calls, stop) = (app.calls.clone(), soft.clone());
    lifecycle.spawn_restarting("call-timers", move || calls.clone().run_timers(stop.clone()));
    let (calls, stop) = (app.calls.clone(), soft.clone());
    lifecycle
        .spawn_restarting("call-reconciler", move || calls.clone().run_reconciler(reconcile, stop.clone()));
    let (removals, stop) = (app.removals.clone(), soft.clone());
    lifecycle.spawn_restarting("removals", move || removals.clone().run(stop.clone()));
    let (audience, watch) = bus::room_watch(app.clone());
    let (watch, stop) = (Arc::new(Mutex::new(watch)), soft.clone());
    lifecycle.spawn_restarting("room-watch", move || {
        let (watch, stop) = (Arc::clone(&watch), stop.clone());
        async move { watch.lock().await.run(stop).await }
    });
    let (consumer, stop) = (app.clone(), soft.clone());
    lifecycle.spawn_restarting("bus", move || {
        // A new subscription begins with "reconnected": what was missed is asked for.
        let events = Subscriber::new(&redis_url, &bus::CHANNELS).expect("this address was parsed at start");
        bus::consume(consumer.clone(), events, audience.clone(), stop.clone())
    });
    let every = Duration::from_secs(u64::from(config.websocket.session_check_s));
    let (watched, stop) = (app.clone(), soft.clone());
    lifecycle
        .spawn_restarting("ws-sessions", move || ws::watch_sessions(watched.clone(), every, stop.clone()));
    let every = Duration::from_secs(u64::from(config.housekeeping_s));
    let (keeper, retention, stop) = (app.clone(), config.retention, soft.clone());
    lifecycle.spawn_restarting("housekeeping", move || {
        housekeeping::run(keeper.clone(), retention, every, stop.clone())
    });
    let db = app.db.clone();
    lifecycle.spawn_restarting("pool-metrics", move || {
        let (db, soft) = (db.clone(), soft.clone());
        async move {
            let mut tick = tokio::time::interval(POOL_METRICS);
            while soft.run_until_cancelled(tick.tick()).await.is_some() {
                db.report_metrics();
            }
        }
    });
}
