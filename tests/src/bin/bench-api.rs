//! REST latency and joins per second of the whole stack on this machine.
//!
//! Method: a release build on free ports, `WORKERS` keep-alive clients in a closed loop, `ROUNDS` requests each after
//! a warm-up; the figures are over single requests. Server, databases and clients share the machine, so the
//! figures are for comparing commits, not for sizing. Prints a table, writes target/bench/api.json.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use aura_types::{Clock, SystemClock};
use auralink_tests::{Person, SfuOptions, Stack, rest, token};
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_tungstenite::connect_async;

const WORKERS: u32 = 4;
const ROUNDS: u32 = 250;
/// Argon2id is meant to be slow.
const LOGINS: u32 = 10;
const JOINS: u32 = 50;
const NO_LIMIT: &str = "10000000";

type Request = (Method, String, Option<Value>);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let quiet = ("LOG_LEVEL", "warn".to_owned());
    let mut env = [
        "AURA_DASHBOARD__LIMITS__REQUESTS_PER_USER",
        "AURA_DASHBOARD__LIMITS__LOGIN_PER_ACCOUNT",
        "AURA_DASHBOARD__LIMITS__LOGIN_PER_ACCOUNT_ANYWHERE",
        "AURA_DASHBOARD__LIMITS__LOGIN_PER_ADDRESS",
        "AURA_DASHBOARD__LIMITS__REGISTER_PER_ADDRESS",
    ]
    .map(|limit| (limit, NO_LIMIT.to_owned()))
    .to_vec();
    env.push(quiet.clone());
    let stack = Stack::start_with(SfuOptions { env: vec![quiet], ..SfuOptions::default() }, env).await?;
    let person = stack.api().sign_up("Bench").await?;
    let room = person.create_room("Bench").await?;
    let messages = format!("/rooms/{room}/messages");
    for number in 0..50 {
        person.post(&messages, json!({ "id": message_id(0, number), "text": "an earlier message" })).await?;
    }

    let mut bench = Bench { person: person.clone(), figures: BTreeMap::new() };
    println!("{:<16} {:>9} {:>9} {:>9} {:>9}", "operation", "p50 ms", "p99 ms", "max ms", "per s");
    bench.run("me", ROUNDS, |_, _| (Method::GET, "/auth/me".to_owned(), None)).await?;
    bench.run("list_rooms", ROUNDS, |_, _| (Method::GET, "/rooms".to_owned(), None)).await?;
    let path = messages.clone();
    bench.run("list_messages", ROUNDS, move |_, _| (Method::GET, path.clone(), None)).await?;
    let path = format!("/rooms/{room}/token");
    bench.run("join_token", ROUNDS, move |_, _| (Method::POST, path.clone(), Some(json!({})))).await?;
    let another = json!({ "name": "Another" });
    bench
        .run("create_room", ROUNDS, move |_, _| (Method::POST, "/rooms".to_owned(), Some(another.clone())))
        .await?;
    let message = move |worker, round| {
        let body = json!({ "id": message_id(worker + 1, round), "text": "hello" });
        (Method::POST, messages.clone(), Some(body))
    };
    bench.run("post_message", ROUNDS, message).await?;
    let login = json!({ "email": person.email, "password": rest::PASSWORD });
    bench
        .run("login", LOGINS, move |_, _| (Method::POST, "/auth/login".to_owned(), Some(login.clone())))
        .await?;
    bench.joins(&stack, &room).await?;
    bench.write()
}

struct Bench {
    person: Person,
    figures: BTreeMap<String, f64>,
}

impl Bench {
    /// Runs one operation in a closed loop; a tenth of the rounds before it is warm-up.
    async fn run<R>(&mut self, name: &str, rounds: u32, request: R) -> anyhow::Result<()>
    where
        R: Fn(u32, u32) -> Request + Clone + Send + 'static,
    {
        let warm_up = rounds / 10;
        let mut workers = JoinSet::new();
        let started = SystemClock.monotonic();
        for worker in 0..WORKERS {
            let (person, request) = (self.person.clone(), request.clone());
            workers.spawn(async move {
                let mut taken = Vec::new();
                for round in 0..warm_up + rounds {
                    let (method, path, body) = request(worker, round);
                    let before = SystemClock.monotonic();
                    let (status, answer) = person.send(method, &path, body.as_ref()).await?;
                    let time = SystemClock.monotonic().saturating_duration_since(before);
                    anyhow::ensure!(status.is_success(), "{path}: {status}: {answer}");
                    taken.push(time);
                }
                Ok(taken)
            });
        }
        let taken = collect(workers).await?;
        let whole = SystemClock.monotonic().saturating_duration_since(started);
        let rate = taken.iter().map(Vec::len).sum::<usize>() as f64 / whole.as_secs_f64();
        let measured = taken.into_iter().flat_map(|times| times.into_iter().skip(warm_up as usize)).collect();
        self.add(name, measured, rate);
        Ok(())
    }

    /// Joining as a client does: a token from the API, the signalling connection, the join response. Media is
    /// bench-sfu's part.
    async fn joins(&mut self, stack: &Stack, room: &str) -> anyhow::Result<()> {
        let mut workers = JoinSet::new();
        let started = SystemClock.monotonic();
        for worker in 0..WORKERS {
            let (person, room, url) = (self.person.clone(), room.to_owned(), stack.sfu.url.clone());
            let (key, secret) = (stack.sfu.key.clone(), stack.sfu.secret.clone());
            workers.spawn(async move {
                let mut taken = Vec::new();
                for round in 0..JOINS {
                    let before = SystemClock.monotonic();
                    person.join(&room).await?;
                    // An identity of its own in a room of twelve: the API's token names the person, who is one.
                    let identity = format!("{worker}-{round}");
                    let token = token::join(&key, &secret, &identity, &format!("bench-{}", round / 3));
                    let (mut socket, _) =
                        connect_async(format!("{url}/rtc?access_token={token}&protocol=17&sdk=js")).await?;
                    socket.next().await.context("no join response")??;
                    taken.push(SystemClock.monotonic().saturating_duration_since(before));
                    socket.close(None).await?;
                }
                Ok(taken)
            });
        }
        let taken: Vec<Duration> = collect(workers).await?.into_iter().flatten().collect();
        let whole = SystemClock.monotonic().saturating_duration_since(started);
        let rate = taken.len() as f64 / whole.as_secs_f64();
        self.add("join", taken, rate);
        Ok(())
    }

    fn add(&mut self, name: &str, mut taken: Vec<Duration>, rate: f64) {
        taken.sort_unstable();
        let at = |share: f64| {
            let index = ((taken.len() as f64 - 1.0) * share).round() as usize;
            taken.get(index).copied().unwrap_or_default().as_secs_f64() * 1000.0
        };
        let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
        println!("{name:<16} {p50:>9.2} {p99:>9.2} {max:>9.2} {rate:>9.0}");
        self.figures.insert(format!("{name}_p50_ms"), p50);
        self.figures.insert(format!("{name}_p99_ms"), p99);
        self.figures.insert(format!("{name}_per_s"), rate);
    }

    fn write(&self) -> anyhow::Result<()> {
        let path = PathBuf::from("target/bench/api.json");
        std::fs::create_dir_all(path.parent().context("the path has a folder")?)?;
        let rounded: BTreeMap<&String, f64> =
            self.figures.iter().map(|(name, value)| (name, (value * 1000.0).round() / 1000.0)).collect();
        std::fs::write(&path, format!("{:#}\n", json!(rounded)))?;
        println!("\nwritten to {}", path.display());
        Ok(())
    }
}

async fn collect(mut workers: JoinSet<anyhow::Result<Vec<Duration>>>) -> anyhow::Result<Vec<Vec<Duration>>> {
    let mut taken = Vec::new();
    while let Some(worker) = workers.join_next().await {
        taken.push(worker??);
    }
    Ok(taken)
}

fn message_id(worker: u32, number: u32) -> String {
    format!("{worker:08x}-0000-4000-8000-{number:012x}")
}
