//! What is measured.
//!
//! Below saturation the server's cost is the processor time it used per packet that arrived, so what the clients cost
//! does not matter. At saturation what counts is how much arrives; then it matters who is saturated, so both sides' share
//! of a processor is told. Windows follow each other on the same connections.

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
    /// Share of one processor the server used while packets flowed.
    pub server_cpu: f64,
    /// The same of the generator: near 1 it is what limits.
    pub generator_cpu: f64,
    /// What publishers sent, as a share of what they should have: a generator that is late sends less.
    pub offered: f64,
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

/// Publishers of one room, and everybody who gets all of them.
#[derive(Debug, Clone, Copy)]
pub struct Hall {
    /// What each publisher sends.
    pub media: Media,
    /// Publishers.
    pub publishers: usize,
    /// Subscribers.
    pub subscribers: usize,
    /// More than the server or the generator may manage: loss is a result, not a fault.
    pub saturating: bool,
}

/// A hall at work.
pub fn fan_out(target: &Target, hall: Hall, plan: Plan) -> anyhow::Result<Outcome> {
    let mut swarm = Swarm::new()?;
    let room = format!("load-{}-{}-{}", std::process::id(), hall.publishers, hall.subscribers);
    let mut publishers = Vec::new();
    for _ in 0..hall.publishers {
        let publisher = swarm.join(target, &room, Role::Publisher(hall.media))?;
        swarm.run_until("a publisher", JOIN_LIMIT, |swarm| Ok(swarm.is_ready(publisher)))?;
        publishers.push(publisher);
    }
    let mut ids = Vec::new();
    for _ in 0..hall.subscribers {
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

    for publisher in publishers {
        swarm.start(publisher);
    }
    everyone_receives(&mut swarm, hall)?;
    swarm.run(plan.warm_up)?;
    let measured = windows(&mut swarm, hall, plan, Some(target.pid))?;
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
    windows(&mut swarm, Hall { media, publishers: 1, subscribers: 1, saturating: false }, plan, None)
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

/// Waits until a short window loses nothing: every subscription is up and past its first keyframe. Of a hall that may be
/// too much for the server, until nearly everything arrives, or what does no longer grows.
fn everyone_receives(swarm: &mut Swarm, hall: Hall) -> anyhow::Result<()> {
    let mut best = 0.0;
    let mut since_better = 0;
    for _ in 0..40 {
        swarm.meter.open();
        swarm.run(Duration::from_millis(300))?;
        swarm.meter.close();
        swarm.run(STRAGGLERS)?;
        let window = swarm.meter.take();
        let expected = window.sent * hall.subscribers as u64;
        if window.sent > 0 && window.received == expected {
            return Ok(());
        }
        let share = window.received as f64 / (expected as f64).max(1.0);
        since_better = if share > best * 1.02 { 0 } else { since_better + 1 };
        best = share.max(best);
        if hall.saturating && best > 0.0 && since_better >= 5 {
            return Ok(());
        }
    }
    anyhow::bail!("not every subscriber receives everything")
}

fn windows(swarm: &mut Swarm, hall: Hall, plan: Plan, server: Option<u32>) -> anyhow::Result<Outcome> {
    let used = || server.map_or(Ok(Duration::ZERO), cpu_time);
    let own = || cpu_time(std::process::id());
    let (mut sent, mut received, mut costs, mut rates) = (0, 0, Vec::new(), Vec::new());
    let (mut server_shares, mut generator_shares) = (Vec::new(), Vec::new());
    let mut latencies = Vec::new();
    for _ in 0..plan.runs {
        let (before, own_before) = (used()?, own()?);
        swarm.meter.open();
        swarm.run(plan.window)?;
        swarm.meter.close();
        let (cost, own_cost) = (used()? - before, own()? - own_before);
        swarm.run(STRAGGLERS)?;
        let window = swarm.meter.take();
        ensure!(window.received > 0, "nothing arrived");
        sent += window.sent;
        received += window.received;
        costs.push(cost.as_secs_f64() / window.received as f64 * 1e6);
        rates.push(window.received as f64 / plan.window.as_secs_f64());
        server_shares.push(cost.as_secs_f64() / plan.window.as_secs_f64());
        generator_shares.push(own_cost.as_secs_f64() / plan.window.as_secs_f64());
        latencies.push(window.latency());
    }
    let over = |share: f64| middle(&latencies, share);
    let (cpu_s_per_million, spread) = median(&costs);
    let whole = plan.window.as_secs_f64() * plan.runs as f64;
    let nominal = hall.media.packets_per_s() * hall.publishers as f64 * whole;
    Ok(Outcome {
        packets_per_s: median(&rates).0,
        cpu_s_per_million,
        spread,
        loss: 1.0 - received as f64 / (sent * hall.subscribers as u64) as f64,
        idle_cpu: 0.0,
        server_cpu: median(&server_shares).0,
        generator_cpu: median(&generator_shares).0,
        offered: sent as f64 / nominal,
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
