//! What is measured.
//!
//! The server stays far below saturation; its cost is the processor time it used per packet that arrived, so what the
//! clients cost does not matter. Windows follow each other on the same connections.

use std::time::Duration;

use anyhow::ensure;
use aura_types::{Clock, SystemClock};

use super::machine::cpu_time;
use super::meter::{Latency, median};
use super::source::Media;
use super::swarm::{Role, Swarm, Target};

const JOIN_LIMIT: Duration = Duration::from_secs(30);
/// Packets still under way when a window closes have arrived by then.
const STRAGGLERS: Duration = Duration::from_millis(300);
/// Clients of the join workload that are on their way at once, and per room.
const JOINING: usize = 8;
const ROOM: usize = 4;

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Length of one window.
    pub window: Duration,
    /// Time to settle before the first.
    pub warm_up: Duration,
    /// Windows.
    pub runs: usize,
}

/// What a fan-out cost.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Packets that reached subscribers, per second.
    pub packets_per_s: f64,
    /// Server processor seconds per million of them: the median window.
    pub cpu_s_per_million: f64,
    /// How far windows spread around it, as a share.
    pub spread: f64,
    /// Share of packets that did not arrive, over all windows.
    pub loss: f64,
    /// Share of one processor the server used while everybody was connected and nobody sent.
    pub idle_cpu: f64,
    /// Of all windows.
    pub p50: Duration,
    /// Of all windows.
    pub p99: Duration,
    /// Of all windows.
    pub p999: Duration,
}

impl Outcome {
    /// Packets the server would forward in one processor second.
    pub fn packets_per_cpu_s(&self) -> f64 {
        if self.cpu_s_per_million > 0.0 { 1e6 / self.cpu_s_per_million } else { 0.0 }
    }
}

/// What joining cost.
#[derive(Debug, Clone, Copy)]
pub struct Joins {
    /// Joins per second, from dialling to media.
    pub per_s: f64,
    /// Server processor time of one join.
    pub cpu: Duration,
}

/// One publisher, many subscribers.
pub fn fan_out(target: &Target, media: Media, subscribers: usize, plan: Plan) -> anyhow::Result<Outcome> {
    let mut swarm = Swarm::new()?;
    let room = format!("load-{}-{subscribers}", std::process::id());
    let publisher = swarm.join(target, &room, Role::Publisher(media))?;
    swarm.run_until("the publisher", JOIN_LIMIT, |swarm| Ok(swarm.is_ready(publisher)))?;
    let mut ids = Vec::new();
    for _ in 0..subscribers {
        ids.push(swarm.join(target, &room, Role::Subscriber)?);
        if ids.len().is_multiple_of(JOINING) {
            swarm.run_until("subscribers", JOIN_LIMIT, |swarm| Ok(all_ready(swarm, &ids)))?;
        }
    }
    swarm.run_until("subscribers", JOIN_LIMIT, |swarm| Ok(all_ready(swarm, &ids)))?;

    swarm.run(plan.warm_up)?;
    let before = cpu_time(target.pid)?;
    swarm.run(plan.window)?;
    let idle_cpu = (cpu_time(target.pid)? - before).as_secs_f64() / plan.window.as_secs_f64();

    swarm.start(publisher);
    everyone_receives(&mut swarm, subscribers)?;
    swarm.run(plan.warm_up)?;
    let measured = windows(&mut swarm, subscribers, plan, Some(target.pid))?;
    swarm.leave_all();
    Ok(Outcome { idle_cpu, ..measured })
}

/// One publisher and one subscriber of our own, without a server: the part of latency that is the generator's.
pub fn baseline(media: Media, plan: Plan) -> anyhow::Result<Outcome> {
    let mut swarm = Swarm::new()?;
    let [publisher, subscriber] = swarm.pair(media)?;
    swarm.run_until("the pair", JOIN_LIMIT, |swarm| Ok(all_ready(swarm, &[publisher, subscriber])))?;
    swarm.start(publisher);
    swarm.run(plan.warm_up)?;
    windows(&mut swarm, 1, plan, None)
}

/// Joins `count` clients, some at a time, four to a room; each until its media connection is up.
pub fn joins(target: &Target, count: usize) -> anyhow::Result<Joins> {
    let mut swarm = Swarm::new()?;
    let (mut joining, mut joined, mut started) = (Vec::new(), 0, 0);
    let before = cpu_time(target.pid)?;
    let began = SystemClock.monotonic();
    swarm.run_until("joins", JOIN_LIMIT, |swarm| {
        joining.retain(|id| {
            let ready = swarm.is_ready(*id);
            joined += usize::from(ready);
            !ready
        });
        while started < count && joining.len() < JOINING {
            let room = format!("load-joins-{}-{}", std::process::id(), started / ROOM);
            joining.push(swarm.join(target, &room, Role::Subscriber)?);
            started += 1;
        }
        Ok(joined == count)
    })?;
    let took = SystemClock.monotonic().saturating_duration_since(began);
    let cpu = (cpu_time(target.pid)? - before) / u32::try_from(count)?;
    for id in 0..count {
        swarm.leave(id);
    }
    Ok(Joins { per_s: count as f64 / took.as_secs_f64(), cpu })
}

fn all_ready(swarm: &Swarm, ids: &[usize]) -> bool {
    ids.iter().all(|id| swarm.is_ready(*id))
}

/// Waits until a short window loses nothing: every subscription is up and past its first keyframe.
fn everyone_receives(swarm: &mut Swarm, subscribers: usize) -> anyhow::Result<()> {
    for _ in 0..40 {
        swarm.meter.open();
        swarm.run(Duration::from_millis(300))?;
        swarm.meter.close();
        swarm.run(STRAGGLERS)?;
        let window = swarm.meter.take();
        if window.sent > 0 && window.received == window.sent * subscribers as u64 {
            return Ok(());
        }
    }
    anyhow::bail!("not every subscriber receives everything")
}

fn windows(
    swarm: &mut Swarm,
    subscribers: usize,
    plan: Plan,
    server: Option<u32>,
) -> anyhow::Result<Outcome> {
    let used = || server.map_or(Ok(Duration::ZERO), cpu_time);
    let (mut sent, mut received, mut costs, mut rates) = (0, 0, Vec::new(), Vec::new());
    let mut latencies = Vec::new();
    for _ in 0..plan.runs {
        let before = used()?;
        swarm.meter.open();
        swarm.run(plan.window)?;
        swarm.meter.close();
        let cost = used()? - before;
        swarm.run(STRAGGLERS)?;
        let window = swarm.meter.take();
        ensure!(window.received > 0, "nothing arrived");
        sent += window.sent * subscribers as u64;
        received += window.received;
        costs.push(cost.as_secs_f64() / window.received as f64 * 1e6);
        rates.push(window.received as f64 / plan.window.as_secs_f64());
        latencies.push(window.latency());
    }
    let over = |share: f64| middle(&latencies, share);
    let (cpu_s_per_million, spread) = median(&costs);
    Ok(Outcome {
        packets_per_s: median(&rates).0,
        cpu_s_per_million,
        spread,
        loss: 1.0 - received as f64 / sent as f64,
        idle_cpu: 0.0,
        p50: over(0.5),
        p99: over(0.99),
        p999: over(0.999),
    })
}

/// The median window's quantile.
fn middle(latencies: &[Latency], share: f64) -> Duration {
    let values: Vec<_> = latencies.iter().map(|latency| latency.quantile(share).as_secs_f64()).collect();
    Duration::from_secs_f64(median(&values).0)
}
