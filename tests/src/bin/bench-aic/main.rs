//! What AIC sounds like, costs and saves, beside Opus.
//!
//! Renders held-out speech through every coder, has it judged (PESQ, STOI, ViSQOL, DNSMOS, PLCMOS and our own score),
//! times the library and counts bytes. `BENCH_CLIPS` (24) clips a stratum, `BENCH_FRAMES` (50000) frames for times,
//! `BENCH_ONNXRUNTIME` the library of the other backend. `BENCH_PARTS` ("times,service") runs only these parts and keeps
//! the other figures of the last run.
//! Prints tables, writes docs/benchmarks/aic-scores.csv (raw) and target/bench/aic.json.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod bytes;
mod sound;
mod time;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use aic_codec::{Backend, Model, OnnxSettings, quality};
use anyhow::{Context, bail, ensure};
use auralink_tests::codec_bench::clips::{self, Clip};
use auralink_tests::codec_bench::coders::Coded;
use auralink_tests::codec_bench::judge::Mean;
use auralink_tests::speech::{self, write_wav};
use serde_json::json;

const PARTS: [&str; 8] = ["times", "service", "delay", "bytes", "calls", "conformance", "quality", "loss"];

struct Bench {
    model: Model,
    speech: PathBuf,
    work: PathBuf,
    figures: BTreeMap<String, f64>,
    /// What was measured here of each "stratum/condition", a row a clip.
    measured: BTreeMap<String, Vec<Measured>>,
}

struct Measured {
    clip: String,
    /// Payload kbit/s.
    kbps: f64,
    /// Our own score.
    quality: f64,
}

fn main() -> anyhow::Result<()> {
    ensure!(
        cfg!(feature = "opus-dnn"),
        "build with --features opus-dnn, else NoLACE and DRED would be plain Opus"
    );
    let work = target().join("bench/aic");
    std::fs::create_dir_all(&work)?;
    let speech = speech::recordings().context("no recordings: name their folder in AURALINK_TEST_DATA")?;
    let model = Model::bundled_on(Backend::Native)?;
    println!("model {} on the {} backend\n", model.id(), model.backend_name());
    let figures = std::fs::read(target().join("bench/aic.json"));
    let figures = figures.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let mut bench = Bench { model, speech, work, figures, measured: BTreeMap::new() };
    let parts = env::var("BENCH_PARTS").unwrap_or_else(|_| PARTS.join(","));
    for part in parts.split(',') {
        bench.run(part, number("BENCH_CLIPS", 24))?;
    }
    bench.write()
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}

fn number(name: &str, otherwise: usize) -> usize {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// The model on the other backend. The service is to be measured on its own, so its variables are not used.
fn onnx() -> anyhow::Result<Option<Model>> {
    let Some(library) = env::var_os("BENCH_ONNXRUNTIME") else { return Ok(None) };
    let settings = OnnxSettings { library: Some(library.into()), ..OnnxSettings::default() };
    Ok(Some(Model::bundled_onnx(&settings)?))
}

impl Bench {
    fn run(&mut self, part: &str, clips: usize) -> anyhow::Result<()> {
        match part {
            "times" => self.times(),
            "service" => self.service_times(),
            "delay" => self.delay(),
            "bytes" => {
                self.bytes();
                Ok(())
            }
            "calls" => self.calls(),
            "conformance" => self.conformance(),
            "quality" => {
                let clean = self.quality("clean", clips)?;
                self.equivalence(&clean);
                for stratum in ["noise", "dutch", "music"] {
                    self.quality(stratum, clips.div_ceil(3))?;
                }
                self.write_scores()
            }
            "loss" => self.losses(clips.div_ceil(3)),
            _ => bail!("BENCH_PARTS: {part} is none of {PARTS:?}"),
        }
    }

    fn figure(&mut self, name: impl Into<String>, value: f64) {
        self.figures.insert(name.into(), (value * 10_000.0).round() / 10_000.0);
    }

    /// Writes what a coder made of a clip, and keeps its rate and our score.
    fn keep(&mut self, folder: &Path, condition: &str, clip: &Clip, coded: &Coded) -> anyhow::Result<()> {
        let place = folder.join(condition);
        std::fs::create_dir_all(&place)?;
        write_wav(&place.join(format!("{}.wav", clip.name)), &coded.samples)?;
        let key = format!("{}/{condition}", folder.file_name().unwrap_or_default().to_string_lossy());
        let quality =
            quality::score(&clip.samples, &coded.samples).map_or(f64::NAN, |score| f64::from(score.total()));
        let row = Measured { clip: clip.name.clone(), kbps: coded.kbps(), quality };
        self.measured.entry(key).or_default().push(row);
        Ok(())
    }

    fn kbps(&self, key: &str) -> f64 {
        Mean::of(self.measured.get(key).into_iter().flatten().map(|row| row.kbps)).mean
    }

    /// The native engine against ONNX Runtime on the same model.
    fn conformance(&mut self) -> anyhow::Result<()> {
        let Some(onnx) = onnx()? else {
            println!("BENCH_ONNXRUNTIME does not name ONNX Runtime: the backends are not compared\n");
            return Ok(());
        };
        let clip = clips::stratum(&self.speech, "clean", 1)?.pop().context("a clip")?;
        let (mut native, mut other) = (self.model.encoder(), onnx.encoder());
        let (mut same, mut all) = (0_usize, 0_usize);
        for frame in clip.samples.as_chunks().0 {
            let (a, b) = (native.encode(frame)?, other.encode(frame)?);
            same += a.0.iter().zip(&b.0).filter(|(a, b)| a == b).count();
            all += a.0.len();
        }
        let share = same as f64 / all as f64;
        println!(
            "{:.2} % of {all} indices are the same from the native engine and from ONNX Runtime\n",
            share * 100.0
        );
        self.figure("conformance_backends_same_indices", share);
        Ok(())
    }

    fn write(&self) -> anyhow::Result<()> {
        let path = target().join("bench/aic.json");
        std::fs::write(&path, serde_json::to_string_pretty(&json!(self.figures))?)?;
        println!("wrote {}", path.display());
        Ok(())
    }
}
