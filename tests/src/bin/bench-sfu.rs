//! What forwarding costs: processor time per packet, latency, loss, and joins per second.
//!
//! Starts a release build of the SFU, or measures the server that `AURALINK_BENCH_SFU="ws://HOST:PORT KEY SECRET PID"`
//! names; anything that speaks LiveKit will do. The server is bound to processor 0 and the generator to processor 1
//! where there are two. `BENCH_RUNS` (5) windows of `BENCH_SECONDS` (4) each. The latency includes the generator's own,
//! which is measured without a server and printed first. Prints a table, writes target/bench/sfu.json. The last two halls
//! bring one processor near its limit or beyond: their loss is a result; "server" and "gen." say who was busy, "offered"
//! how much of its load the generator managed to send. `BENCH_WORKLOADS=w3,w4` measures those alone.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use auralink_tests::load::{self, Hall, Media, Outcome, Plan, Target};
use auralink_tests::{Sfu, SfuOptions};
use serde_json::json;

const VIDEO: Media = Media::Video { bitrate_bps: 2_000_000 };
/// Below saturation: what a packet costs.
const W1: Hall = Hall { media: Media::Audio, publishers: 1, subscribers: 50, saturating: false };
const W2: Hall = Hall { media: VIDEO, publishers: 1, subscribers: 10, saturating: false };
/// Near a processor's limit or beyond: how much arrives. 100,000 and 48,000 packets a second, if all do.
const W3: Hall = Hall { media: Media::Audio, publishers: 10, subscribers: 200, saturating: true };
const W4: Hall = Hall { media: VIDEO, publishers: 5, subscribers: 40, saturating: true };
const JOINS: usize = 80;
const JOIN_RUNS: usize = 3;
/// Above this a run says nothing about the server's cost.
const LOSS_LIMIT: f64 = 0.001;

fn main() -> anyhow::Result<()> {
    // The generator may use one processor only; threads started from here on inherit that.
    let pinned = load::cores() > 1 && load::pin(std::process::id(), 1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (sfu, target) = runtime.block_on(server())?;
    let pinned = pinned && load::pin(target.pid, 0);
    if !pinned {
        println!("server and generator share processors: latencies are not comparable");
    }
    let plan = Plan {
        window: Duration::from_secs(number("BENCH_SECONDS", 4).clamp(1, 60)),
        warm_up: Duration::from_secs(1),
        runs: usize::try_from(number("BENCH_RUNS", 5).clamp(1, 20))?,
    };

    let mut bench = Bench { figures: BTreeMap::new() };
    bench.header();
    let short = Plan { runs: 1, ..plan };
    bench.add("generator_audio", &load::baseline(Media::Audio, short)?);
    bench.add("generator_video", &load::baseline(VIDEO, short)?);
    let wanted = env::var("BENCH_WORKLOADS").unwrap_or_default();
    let mut lost = false;
    for (name, hall) in
        [("w1_audio_1x50", W1), ("w2_video_1x10", W2), ("w3_audio_10x200", W3), ("w4_video_5x40", W4)]
    {
        if !wanted.is_empty() && !wanted.split(',').any(|wanted| name.starts_with(wanted)) {
            continue;
        }
        let outcome = load::fan_out(&target, hall, plan)?;
        bench.add(name, &outcome);
        lost |= !hall.saturating && outcome.loss > LOSS_LIMIT;
    }
    if wanted.is_empty() {
        bench.joins(&target)?;
    }
    bench.figures.insert("pinned".to_owned(), f64::from(u8::from(pinned)));
    bench.write()?;
    // Ours, if we started it, ends here and not before.
    drop(sfu);
    if lost {
        bail!("more than {} % of packets were lost: this run does not count", LOSS_LIMIT * 100.0);
    }
    Ok(())
}

async fn server() -> anyhow::Result<(Option<Sfu>, Target)> {
    if let Ok(given) = env::var("AURALINK_BENCH_SFU") {
        let parts: Vec<&str> = given.split_whitespace().collect();
        let [url, key, secret, pid] = parts[..] else {
            bail!("AURALINK_BENCH_SFU is \"ws://HOST:PORT KEY SECRET PID\"")
        };
        let (url, key, secret) = (url.to_owned(), key.to_owned(), secret.to_owned());
        let pid = pid.parse().context("PID is a number")?;
        return Ok((None, Target { url, key, secret, pid }));
    }
    let quiet = vec![("LOG_LEVEL", "warn".to_owned())];
    let sfu = Sfu::start(SfuOptions { env: quiet, ..SfuOptions::default() }).await?;
    let pid = sfu.pid().context("the server runs")?;
    let (url, key, secret) = (sfu.url.clone(), sfu.key.clone(), sfu.secret.clone());
    Ok((Some(sfu), Target { url, key, secret, pid }))
}

struct Bench {
    figures: BTreeMap<String, f64>,
}

impl Bench {
    fn header(&self) {
        println!(
            "{:<16} {:>9} {:>8} {:>7} {:>11} {:>7} {:>7} {:>7} {:>8} {:>8} {:>8} {:>8} {:>9}",
            "workload",
            "packets/s",
            "CPU-s/M",
            "spread",
            "pkt/CPU-s",
            "idle",
            "server",
            "gen.",
            "offered",
            "loss",
            "p50 µs",
            "p99 µs",
            "p99.9 µs"
        );
    }

    fn add(&mut self, name: &str, outcome: &Outcome) {
        let us = |duration: Duration| duration.as_secs_f64() * 1e6;
        let (p50, p99, p999) = (us(outcome.p50), us(outcome.p99), us(outcome.p999));
        println!(
            "{name:<16} {:>9.0} {:>8.2} {:>6.1}% {:>11.0} {:>6.2}% {:>6.1}% {:>6.1}% {:>7.1}% {:>7.3}% {p50:>8.0} \
             {p99:>8.0} {p999:>9.0}",
            outcome.packets_per_s,
            outcome.cpu_s_per_million,
            outcome.spread * 100.0,
            outcome.packets_per_cpu_s(),
            outcome.idle_cpu * 100.0,
            outcome.server_cpu * 100.0,
            outcome.generator_cpu * 100.0,
            outcome.offered * 100.0,
            outcome.loss * 100.0,
        );
        let mut figure = |what: &str, value: f64| {
            self.figures.insert(format!("{name}_{what}"), value);
        };
        figure("p50_us", p50);
        figure("p99_us", p99);
        figure("p999_us", p999);
        figure("loss_percent", outcome.loss * 100.0);
        if outcome.cpu_s_per_million > 0.0 {
            figure("cpu_s_per_million", outcome.cpu_s_per_million);
            figure("cpu_spread_percent", outcome.spread * 100.0);
            figure("packets_per_cpu_s", outcome.packets_per_cpu_s());
            figure("idle_cpu_percent", outcome.idle_cpu * 100.0);
            figure("packets_per_s", outcome.packets_per_s);
            figure("server_cpu_percent", outcome.server_cpu * 100.0);
            figure("generator_cpu_percent", outcome.generator_cpu * 100.0);
            figure("offered_percent", outcome.offered * 100.0);
        }
    }

    fn joins(&mut self, target: &Target) -> anyhow::Result<()> {
        let mut rates = Vec::new();
        let mut costs = Vec::new();
        for _ in 0..JOIN_RUNS {
            let joins = load::joins(target, JOINS)?;
            rates.push(joins.per_s);
            costs.push(joins.cpu.as_secs_f64() * 1e3);
        }
        let ((per_s, spread), (cpu_ms, _)) = (load::median(&rates), load::median(&costs));
        println!(
            "\njoins per second: {per_s:.0} (spread {:.1} %), {cpu_ms:.2} ms of CPU each",
            spread * 100.0
        );
        self.figures.insert("joins_per_s".to_owned(), per_s);
        self.figures.insert("join_cpu_ms".to_owned(), cpu_ms);
        Ok(())
    }

    fn write(&self) -> anyhow::Result<()> {
        let path = PathBuf::from("target/bench/sfu.json");
        std::fs::create_dir_all(path.parent().context("the path has a folder")?)?;
        let rounded: BTreeMap<&String, f64> =
            self.figures.iter().map(|(name, value)| (name, (value * 1000.0).round() / 1000.0)).collect();
        std::fs::write(&path, format!("{:#}\n", json!(rounded)))?;
        println!("\nwritten to {}", path.display());
        Ok(())
    }
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
