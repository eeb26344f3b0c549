//! `main` of every service: arguments, configuration, logs, runtime, run, wait, exit code.

use std::error::Error as StdError;
use std::ffi::OsString;
use std::fmt::Display;
use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, Command, value_parser};

use crate::config::{self, Loader, ServiceConfig};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::telemetry;

const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// What a service says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its name, in logs and traces (`dashboard`).
    pub name: &'static str,
    /// Its version: `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// What its environment variables start with (`AURA_DASHBOARD`).
    pub env_prefix: &'static str,
    /// Its `config.default.toml`, embedded.
    pub defaults: &'static str,
}

/// Loads the configuration, starts the service with `run`, waits for shutdown, and says how it went.
///
/// `run` starts tasks on the [`Lifecycle`] and returns; an error from it ends the process with code 1.
/// A faulty configuration ends it with code 2 before anything is started.
pub fn main<C, F, R, E>(service: Service, run: R) -> ExitCode
where
    C: ServiceConfig,
    R: FnOnce(C, Lifecycle) -> F,
    F: Future<Output = Result<(), E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    ExitCode::from(main_with_args(service, std::env::args_os(), run))
}

/// [`main`] with given arguments (the program's name first), returning the exit code as a number.
pub fn main_with_args<C, F, R, E>(service: Service, args: impl IntoIterator<Item = OsString>, run: R) -> u8
where
    C: ServiceConfig,
    R: FnOnce(C, Lifecycle) -> F,
    F: Future<Output = Result<(), E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let arguments = arguments(&service).get_matches_from(args);
    let mut loader = Loader::new(service.env_prefix, service.defaults).process_env();
    if let Some(path) = arguments.get_one::<PathBuf>("config") {
        loader = loader.file(path);
    }
    let config: C = match loader.load() {
        Ok(config) => config,
        Err(error) => return complain(&error),
    };
    if arguments.get_flag("check-config") {
        let text = config::redacted(&config);
        return u8::from(writeln!(std::io::stdout(), "{text}").is_err());
    }

    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error),
    };
    let code = runtime.block_on(serve(service, config, run));
    // Blocking work that ignored the hard token must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    code
}

async fn serve<C, F, R, E>(service: Service, config: C, run: R) -> u8
where
    C: ServiceConfig,
    R: FnOnce(C, Lifecycle) -> F,
    F: Future<Output = Result<(), E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let guard = match telemetry::init(service.name, service.version, config.log(), config.telemetry()) {
        Ok(guard) => guard,
        Err(error) => return complain(&error),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = crate::lifecycle::panic_message(panic.payload());
        tracing::error!(panic = message, place, "panic");
    }));
    let shutdown = *config.shutdown();
    let lifecycle = Lifecycle::with_drain_delay(shutdown.grace(), shutdown.drain_delay());
    if let Err(error) = lifecycle.listen_for_signals() {
        return complain(&error);
    }
    spawn_metrics_upkeep(&lifecycle);
    tracing::info!(version = service.version, env = ?config.environment(), "starting");

    if let Err(error) = run(config, lifecycle.clone()).await {
        let error = error.into();
        lifecycle.fail(&crate::error::chain(&*error));
    } else {
        tracing::info!("started");
    }
    let code = lifecycle.wait().await;
    tracing::info!(code, "stopped");
    // The exporter blocks on its own thread, which needs this one's runtime.
    let _ = tokio::task::spawn_blocking(move || guard.shutdown()).await;
    code
}

fn spawn_metrics_upkeep(lifecycle: &Lifecycle) {
    let metrics = Metrics::install();
    let soft = lifecycle.soft();
    lifecycle.spawn_restarting("metrics-upkeep", move || {
        let soft = soft.clone();
        async move {
            let mut tick = tokio::time::interval(METRICS_UPKEEP);
            while soft.run_until_cancelled(tick.tick()).await.is_some() {
                metrics.upkeep();
            }
        }
    });
}

fn arguments(service: &Service) -> Command {
    Command::new(service.name)
        .version(service.version)
        .arg(
            Arg::new("config")
                .long("config")
                .env("AURALINK_CONFIG")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .help("TOML file layered over the built-in defaults"),
        )
        .arg(
            Arg::new("check-config")
                .long("check-config")
                .action(ArgAction::SetTrue)
                .help("Check the configuration, print it without secrets, and exit"),
        )
        .after_help(format!(
            "Every key can be set from the environment: section.key is {}__SECTION__KEY.",
            service.env_prefix
        ))
}

/// Before logging is set up, standard error is all there is.
fn complain(error: &dyn Display) -> u8 {
    let _ = writeln!(std::io::stderr(), "{error}");
    2
}
