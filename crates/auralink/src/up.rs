//! `auralink up`: the whole of AuraLink on this machine, as child processes of this one.
//!
//! Order: databases, schemas, services, accounts; stopping goes the other way. Everything it makes is under the
//! data folder; removing that folder resets the stack.

mod backoff;
mod console;
mod demo;
mod options;
mod plan;
mod service;
mod stop;
mod store;

use std::process::ExitCode;

use anyhow::Context;
use aura_types::SystemClock;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::migrate;
use crate::secrets::Secrets;
use console::{Prefix, say};
use demo::Demo;
pub(crate) use options::Options;
use service::Service;
use stop::{Stage, Stop};
use store::Stores;

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    // Before anything is made: a half-started stack is harder to read than a refusal.
    for name in ["dashboard", "webrtc-sfu", "aic-codec"] {
        service::sibling(name)?;
    }
    let _lock = options.data_dir.lock()?;
    options.check_ports()?;
    let secrets = Secrets::load_or_create(&options.data_dir)?;

    let (stage, mut stop) = Stop::new();
    let signals = stop::on_signals(&stage);
    tokio::pin!(signals);

    let mut stores = tokio::select! {
        stores = Stores::start(&options, &secrets) => stores?,
        ended = &mut signals => return ended.map(|()| ExitCode::FAILURE),
        () = stop.reached(Stage::Drain) => return Ok(ExitCode::SUCCESS),
    };
    let outcome = tokio::select! {
        outcome = serve(&options, &secrets, &mut stores, &stop, &stage) => outcome,
        ended = &mut signals => ended,
    };
    stores.stop().await;
    say("stopped");
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Runs the services until the stop, or until one of them cannot be brought up.
async fn serve(
    options: &Options,
    secrets: &Secrets,
    stores: &mut Stores,
    stop: &Stop,
    stage: &watch::Sender<Stage>,
) -> anyhow::Result<()> {
    let mut stopped = stop.clone();
    tokio::select! {
        outcome = migrate::all(&stores.owner_url, &stores.logins) => outcome?,
        () = stopped.reached(Stage::Drain) => return Ok(()),
    }

    let files = options.data_dir.private_folder("files")?;
    let plans = plan::services(options, secrets, &files, &stores.logins, &stores.redis_url);
    let mut services = JoinSet::new();
    let mut readiness = Vec::new();
    for (index, plan) in plans.into_iter().enumerate() {
        let (is_ready, ready) = watch::channel(false);
        readiness.push(ready);
        let service = Service {
            program: service::sibling(plan.name)?,
            prefix: Prefix::new(plan.name, index),
            plan,
            clock: SystemClock::shared(),
            stop: stop.clone(),
            is_ready,
        };
        services.spawn(service.run());
    }

    let welcome = async {
        for ready in &mut readiness {
            if ready.wait_for(|is_ready| *is_ready).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        greet(options, secrets).await;
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! {
        ended = services.join_next() => ended,
        () = welcome => None,
        never = stores.keep_running() => never,
    };
    // One has ended: either all do because of a signal, or this one failed and the others must not stay.
    stage.send_if_modified(|now| {
        let first = *now == Stage::Run;
        if first {
            *now = Stage::Drain;
        }
        first
    });
    let rest = services.join_all().await;
    let first = outcome.map_or(Ok(()), |joined| joined.context("a supervisor panicked")?);
    rest.into_iter().fold(first, Result::and)
}

async fn greet(options: &Options, secrets: &Secrets) {
    say("");
    say(&format!("AuraLink is ready:  {}", options.public_url()));
    if !options.no_demo {
        let dashboard =
            format!("http://{}", std::net::SocketAddr::new(reachable(options), options.http_port));
        match demo::ensure(&dashboard, &secrets.demo_password).await {
            Ok(Demo::Ready) => {
                for (email, _) in demo::ACCOUNTS {
                    say(&format!("account:  {email}  password:  {}", secrets.demo_password));
                }
                say("log in as one here and as the other in a private window, and call");
            }
            Ok(Demo::PasswordUnknown) => {
                say("the demo accounts exist, with a password this folder does not know");
            }
            Err(error) => say(&format!("no demo accounts: {error:#}")),
        }
    }
    if options.has_unnamed_proxy() {
        say("behind a proxy? name it with --trusted-proxy, or all who come through it share one limit");
    }
    say("Ctrl-C stops everything");
    say("");
}

/// Where this process itself reaches the dashboard.
fn reachable(options: &Options) -> std::net::IpAddr {
    if options.listen.is_unspecified() { std::net::Ipv4Addr::LOCALHOST.into() } else { options.listen }
}
