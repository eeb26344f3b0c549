//! What a person gets: pictures presented and changing, sounds played, and whose they are.
//!
//! Measured in a page by tests/browser/probe.js and in Python by tests/interop/python/face.py. Whatever happened before
//! a call does not count: every judgement is of pictures and sounds that are new since it began, and then of more.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt::{self, Display};
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::{MEDIA_LIMIT, Window, entries, number};
use crate::face::Somebody;
use crate::wait;

/// New pictures, or twentieths of a second with sound, that make one of two rounds.
const ROUND: f64 = 6.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sense {
    Sight,
    Hearing,
}

impl Sense {
    fn kind(self) -> &'static str {
        match self {
            Self::Sight => "video",
            Self::Hearing => "audio",
        }
    }
}

impl Display for Sense {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sight => "picture",
            Self::Hearing => "sound",
        })
    }
}

impl Window {
    /// Waits until it sees and hears every one of `others`, and goes on doing so.
    pub async fn sees_and_hears<const N: usize>(&self, others: [&dyn Somebody; N]) {
        self.gets(&others, &[Sense::Sight, Sense::Hearing], "camera").await;
    }

    /// Waits until it sees every one of `others`, and goes on doing so.
    pub async fn sees<const N: usize>(&self, others: [&dyn Somebody; N]) {
        self.gets(&others, &[Sense::Sight], "camera").await;
    }

    /// Waits until it hears every one of `others`, and goes on doing so.
    pub async fn hears<const N: usize>(&self, others: [&dyn Somebody; N]) {
        self.gets(&others, &[Sense::Hearing], "camera").await;
    }

    /// Waits until it sees the screen that `other` shares, and goes on doing so.
    pub async fn sees_screen_of(&self, other: &dyn Somebody) {
        self.gets(&[other], &[Sense::Sight], "screen_share").await;
    }

    /// Waits until new sound comes out of the speakers that the page makes itself, without an element.
    pub async fn plays(&self) {
        let heard = |now: &Value| -> f64 {
            entries(now).filter(|entry| entry["source"] == "speakers").map(of_anybody).sum()
        };
        let before = heard(&self.presented().await.unwrap_or_default());
        self.until("plays", "() => aura.presented()", |now| heard(now) >= before + ROUND).await;
    }

    /// What the page presents now, by element: see `aura.presented` in tests/browser/probe.js.
    pub async fn presented(&self) -> anyhow::Result<Value> {
        self.evaluate("() => aura.presented()", Value::Null).await
    }

    /// Starts to measure how long nothing new is seen and heard of each of `others`.
    pub async fn watch_gaps<const N: usize>(&self, others: [&dyn Somebody; N]) -> anyhow::Result<()> {
        let faces: Vec<usize> = others.iter().map(|other| other.face()).collect();
        self.evaluate("(faces) => aura.watch(faces)", json!(faces)).await.map(drop)
    }

    /// The longest time without new sound and without a new picture of any of them since `watch_gaps`.
    pub async fn gaps(&self) -> anyhow::Result<(Duration, Duration)> {
        let gap = self.evaluate("() => aura.gap()", Value::Null).await?;
        let milliseconds = |kind: &str| Duration::from_millis(number(&gap, kind) as u64);
        Ok((milliseconds("audio"), milliseconds("video")))
    }

    pub(crate) async fn gets(&self, others: &[&dyn Somebody], senses: &[Sense], source: &str) {
        let Err(mut state) = gets(async || self.presented().await, others, senses, source).await else {
            return;
        };
        state += &format!("\n{} receives {}", self.name(), self.transport().await);
        for page in others.iter().filter_map(|other| other.page()) {
            state += &format!("\n{} sends {}", page.name(), page.transport().await);
        }
        panic!("{}: {state}", self.name());
    }

    async fn transport(&self) -> String {
        match self.media().await {
            Ok(media) => media.to_string(),
            Err(error) => format!("{error:#}"),
        }
    }
}

/// Waits until everything of `others` is new twice in what is presented; else, what was missing.
pub(crate) async fn gets(
    presented: impl AsyncFn() -> anyhow::Result<Value>,
    others: &[&dyn Somebody],
    senses: &[Sense],
    source: &str,
) -> Result<(), String> {
    for round in ["no", "no more"] {
        let before = presented().await.unwrap_or_default();
        let found = wait::within(MEDIA_LIMIT, || async {
            let now = presented().await.map_err(|error| format!("{error:#}"))?;
            let missing: Vec<String> =
                senses.iter().flat_map(|sense| missing(*sense, source, others, &before, &now)).collect();
            let lines: String = entries(&now).map(|entry| format!("\n  {entry}")).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{} in:{lines}", missing.join(", "))) }
        });
        found.await.map_err(|state| format!("within {MEDIA_LIMIT:?} {round} {state}"))?;
    }
    Ok(())
}

/// Who of `others` is not sensed anew in what is presented `now`.
fn missing(sense: Sense, source: &str, others: &[&dyn Somebody], before: &Value, now: &Value) -> Vec<String> {
    let screen = source == "screen_share";
    let got =
        |entry: &Value, whose: &str| if screen { of_anybody(entry) } else { number(&entry["got"], whose) };
    let grown = |entry: &Value, whose: &str| {
        let old = entries(before).find(|old| old["id"] == entry["id"] && old["track"] == entry["track"]);
        got(entry, whose) >= old.map_or(0.0, |old| got(old, whose)) + ROUND
    };
    // A sound that two could have made is one of theirs, not of both.
    let mut taken = HashSet::new();
    others
        .iter()
        .filter(|other| {
            let words = sense == Sense::Hearing && other.has_words();
            let whose = if words { "other".to_owned() } else { other.face().to_string() };
            let name = other.known_as();
            let found = entries(now)
                .filter(|entry| entry["kind"] == sense.kind() && grown(entry, &whose))
                .filter(|entry| sense != Sense::Sight || (entry["source"] == "screen_share") == screen)
                // The page's own label, where it has one, must agree.
                .find(|entry| match entry["owner"].as_str() {
                    Some(owner) => owner == name || (screen && owner.contains(&name)),
                    None => !taken.contains(&entry["id"].as_u64()),
                });
            found.map(|entry| taken.insert(entry["id"].as_u64())).is_none()
        })
        .map(|other| format!("{sense} of {}", other.known_as()))
        .collect()
}

/// New pictures of whatever colour: Chromium's fake screen has nobody's.
fn of_anybody(entry: &Value) -> f64 {
    let got = entry["got"].as_object().into_iter().flatten();
    got.filter(|(whose, _)| *whose != "black").filter_map(|(_, count)| count.as_f64()).sum()
}

/// Waits until nothing of `other` is new for a second, neither picture nor sound; of its screen instead, if `source`
/// is that.
pub(crate) async fn ends(
    presented: impl AsyncFn() -> anyhow::Result<Value>,
    other: &dyn Somebody,
    source: &str,
) {
    let screen = source == "screen_share";
    let name = other.known_as();
    let face = other.face().to_string();
    stays(&format!("nothing more of {name} ({source})"), presented, |entry| {
        let is_screen = entry["source"] == "screen_share";
        match (is_screen, screen) {
            (true, true) if entry["owner"].as_str().is_some_and(|owner| owner.contains(&name)) => {
                of_anybody(entry)
            }
            (false, false) => number(&entry["got"], &face),
            _ => 0.0,
        }
    })
    .await;
}

/// Waits until no picture of `other` is new for a second.
pub(crate) async fn loses_picture(presented: impl AsyncFn() -> anyhow::Result<Value>, other: &dyn Somebody) {
    let face = other.face().to_string();
    stays(&format!("no more pictures of {}", other.known_as()), presented, |entry| {
        if entry["kind"] == "video" { number(&entry["got"], &face) } else { 0.0 }
    })
    .await;
}

/// Waits until the sum of `figure` over what is presented has been the same for a second.
async fn stays(
    what: &str,
    presented: impl AsyncFn() -> anyhow::Result<Value>,
    figure: impl Fn(&Value) -> f64,
) {
    /// Looks in a row.
    const QUIET: u32 = 10;
    let seen = Cell::new((f64::NAN, 0));
    wait::until(what, MEDIA_LIMIT, || async {
        let now = presented().await.map_err(|error| format!("{error:#}"))?;
        let (before, quiet) = seen.get();
        let sum = entries(&now).map(&figure).sum();
        let quiet = if sum == before { quiet + 1 } else { 0 };
        seen.set((sum, quiet));
        if quiet >= QUIET { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
}
