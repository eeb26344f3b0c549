//! What AIC sounds like, costs and saves, beside Opus.
//!
//! Renders held-out speech through every coder, has it judged (PESQ, STOI, ViSQOL, DNSMOS, PLCMOS and our own score),
//! times the library and counts bytes. `BENCH_CLIPS` (24) clips a stratum, `BENCH_FRAMES` (50000) frames for times,
//! `BENCH_ONNXRUNTIME` the library of the other backend. `BENCH_PARTS` ("times,service") runs only these parts and keeps
//! the other figures of the last run.
//! Prints tables, writes docs/benchmarks/aic-scores.csv (raw) and target/bench/aic.json.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use aic_codec::control::{Mode, Settings};
use aic_codec::{Backend, Model, OnnxSettings, Rate, quality};
use anyhow::{Context, bail, ensure};
use auralink_tests::codec_bench::clips::{self, Clip};
use auralink_tests::codec_bench::coders::{self, Coded, OpusSetting};
use auralink_tests::codec_bench::judge::{self, Mean, Scores};
use auralink_tests::codec_bench::{calls, delay, latency, loss, service, wire};
use auralink_tests::speech::{self, write_wav};
use auralink_tests::{SfuOptions, Stack};
use serde_json::json;

const RATES: [(Rate, &str); 3] = [(Rate::Low, "aic-1.5"), (Rate::Mid, "aic-3"), (Rate::High, "aic-6")];
const LADDER: [u32; 6] = [6_000, 9_000, 12_000, 16_000, 24_000, 32_000];
const NOLACE: [u32; 3] = [6_000, 9_000, 12_000];
/// From here on NoLACE runs; below 6 nothing does.
const NOLACE_COMPLEXITY: u8 = 7;
const PLAIN_COMPLEXITY: u8 = 5;

/// Readers of LibriSpeech test-other, none of them in the training data.
const READERS: [&str; 5] = ["2414", "3080", "3331", "367", "533"];

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
            "bytes" => Ok(self.bytes()),
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

    fn quality(&mut self, stratum: &str, count: usize) -> anyhow::Result<Scores> {
        let folder = self.work.join(stratum);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let clips = clips::stratum(&self.speech, stratum, count)?;
        for (number, clip) in clips.iter().enumerate() {
            println!("{stratum}: clip {} of {}", number + 1, clips.len());
            let original = Coded { samples: clip.samples.clone(), bytes: 0 };
            self.keep(&folder, "reference", clip, &original)?;
            for (rate, name) in RATES {
                let coded = coders::aic(&self.model, &clip.samples, rate, 0, &[])?;
                self.keep(&folder, name, clip, &coded)?;
            }
            for bps in LADDER {
                let coded = coders::opus_of_ffmpeg(&clip.samples, bps, &self.work)?;
                self.keep(&folder, &format!("opus-1.3-{:02}", bps / 1_000), clip, &coded)?;
            }
            for bps in NOLACE {
                let setting =
                    OpusSetting { bps, decoder_complexity: NOLACE_COMPLEXITY, fec: None, red: false };
                let coded = coders::opus(&clip.samples, setting, &[])?;
                self.keep(&folder, &format!("opus-1.6-nolace-{:02}", bps / 1_000), clip, &coded)?;
            }
        }
        let table = self.work.join(format!("{stratum}.csv"));
        std::fs::remove_file(&table).ok();
        let scores = judge::score(&folder, &table, "pesq,stoi,visqol,p808,ovrl")?;
        println!("\n## Quality: {stratum}, n = {} (mean ± standard error)\n", clips.len());
        println!("| coder | kbit/s | PESQ | STOI | ViSQOL | P.808 | OVRL | quality_score | ≥ 0.85 |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        for (condition, columns) in &scores {
            self.row(stratum, condition, columns);
        }
        println!();
        Ok(scores)
    }

    fn row(&mut self, stratum: &str, condition: &str, columns: &BTreeMap<String, Mean>) {
        let key = format!("{stratum}/{condition}");
        let own: Vec<f64> = self.measured.get(&key).into_iter().flatten().map(|row| row.quality).collect();
        let good = own.iter().filter(|score| **score >= 0.85).count() as f64 / own.len().max(1) as f64;
        let kbps = self.kbps(&key);
        let own = Mean::of(own);
        let cell = |column: &str, places: usize| {
            let mean = columns.get(column).copied().unwrap_or_default();
            format!("{:.places$} ± {:.places$}", mean.mean, mean.error)
        };
        println!(
            "| {condition} | {kbps:.1} | {} | {} | {} | {} | {} | {:.3} ± {:.3} | {:.0} % |",
            cell("pesq", 2),
            cell("stoi", 3),
            cell("visqol", 2),
            cell("p808", 2),
            cell("ovrl", 2),
            own.mean,
            own.error,
            good * 100.0,
        );
        let name = format!("{stratum}_{}", condition.replace(['-', '.'], "_"));
        for (column, mean) in columns {
            self.figure(format!("{name}_{column}"), mean.mean);
        }
        self.figure(format!("{name}_quality_score"), own.mean);
        self.figure(format!("{name}_share_085"), good);
        self.figure(format!("{name}_kbps"), kbps);
    }

    /// For each judge the bitrate at which Opus 1.3 scores what AIC scores at 6 kbit/s, between measured rates.
    fn equivalence(&mut self, scores: &Scores) {
        println!(
            "## The Opus 1.3 bitrate that scores the same as AIC at 6 kbit/s\n\n| judge | kbit/s |\n| --- | --- |"
        );
        for column in ["pesq", "stoi", "visqol", "p808", "ovrl"] {
            let of =
                |condition: &str| scores.get(condition).and_then(|row| row.get(column)).map(|mean| mean.mean);
            let ladder: Vec<(f64, f64)> = LADDER
                .iter()
                .filter_map(|bps| {
                    let condition = format!("opus-1.3-{:02}", bps / 1_000);
                    Some((self.kbps(&format!("clean/{condition}")), of(&condition)?))
                })
                .collect();
            let Some(ours) = of("aic-6") else { continue };
            let text = match judge::crossing(&ladder, ours) {
                Ok(kbps) => {
                    self.figure(format!("equivalent_opus_kbps_{column}"), kbps);
                    format!("{kbps:.1}")
                }
                Err(text) => text.to_owned(),
            };
            println!("| {column} | {text} |");
        }
        println!();
    }

    fn times(&mut self) -> anyhow::Result<()> {
        let frames = number("BENCH_FRAMES", 50_000);
        let clip = clips::stratum(&self.speech, "clean", 1)?.pop().context("a clip")?;
        println!("## Time for a 20 ms frame on one core, {frames} frames, ms\n");
        println!(
            "| backend | streams | part | mean | p50 | p95 | p99 | max |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
        );
        let mut models = vec![self.model.clone()];
        if let Some(onnx) = onnx()? {
            models.push(onnx);
        }
        for model in models {
            for streams in [1, 8, 32] {
                let parts = latency::library(&model, &clip.samples, streams, frames)?;
                let rows = [
                    ("encode", parts.encode),
                    ("decode", parts.decode),
                    ("score", parts.score),
                    ("all", parts.whole),
                ];
                for (part, s) in rows {
                    let backend = model.backend_name();
                    println!(
                        "| {backend} | {streams} | {part} | {:.3} | {:.3} | {:.3} | {:.3} | {:.2} |",
                        s.mean, s.p50, s.p95, s.p99, s.max
                    );
                    for (name, value) in [("mean", s.mean), ("p95", s.p95), ("p99", s.p99)] {
                        self.figure(format!("library_{backend}_{streams}_{part}_{name}_ms"), value);
                    }
                }
                self.figure(
                    format!("library_{}_{streams}_streams_per_core", model.backend_name()),
                    20.0 / parts.whole.mean,
                );
            }
        }
        println!();
        Ok(())
    }

    /// The same through gRPC, in real time.
    fn service_times(&mut self) -> anyhow::Result<()> {
        let seconds = number("BENCH_SECONDS", 20);
        let clip = clips::stratum(&self.speech, "clean", 1)?.pop().context("a clip")?;
        println!("## Round trip of a 20 ms packet through gRPC, streams in real time, {seconds} s, ms\n");
        println!(
            "| streams | answered | mean | p50 | p95 | p99 | max |\n| --- | --- | --- | --- | --- | --- | --- |"
        );
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let stack = runtime.block_on(Stack::start_with_codec(SfuOptions::default()))?;
        for streams in [1, 8, 32] {
            let token = stack.service_token("dashboard");
            let run = service::load(&stack.codec_url, &token, &clip.samples, streams, seconds);
            let load = runtime.block_on(run)?;
            let s = load.times;
            let share = load.answered as f64 / load.sent as f64;
            println!(
                "| {streams} | {:.0} % | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} |",
                share * 100.0,
                s.mean,
                s.p50,
                s.p95,
                s.p99,
                s.max
            );
            for (name, value) in [("mean", s.mean), ("p95", s.p95), ("p99", s.p99)] {
                self.figure(format!("service_{streams}_{name}_ms"), value);
            }
            self.figure(format!("service_{streams}_answered"), share);
        }
        println!();
        Ok(())
    }

    fn delay(&mut self) -> anyhow::Result<()> {
        let clip = clips::stratum(&self.speech, "clean", 1)?.pop().context("a clip")?;
        let ms = delay::algorithmic_ms(&self.model, &clip.samples)?;
        println!(
            "Algorithmic delay at 48 kHz, resamplers included: {ms:.2} ms (Opus in 20 ms packets: 26.5)\n"
        );
        self.figure("algorithmic_delay_ms", ms);
        Ok(())
    }

    /// What the controller makes of readers nobody trained on, a minute each.
    fn calls(&mut self) -> anyhow::Result<()> {
        println!(
            "## A minute of reading, sent as a call is, by the controller (n = {} readers)\n",
            READERS.len()
        );
        println!(
            "| mode | payload kbit/s | wire kbit/s | payload saved | wire saved | silent | in Opus | quality_score |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
        );
        let speakers: Vec<Vec<f32>> = READERS
            .iter()
            .filter_map(|number| speech::reader(number, 60).transpose())
            .collect::<Result<_, _>>()?;
        ensure!(speakers.len() == READERS.len(), "librispeech-test-other is not whole");
        for (name, mode, dtx) in [
            ("conservative", Mode::Conservative, true),
            ("adaptive", Mode::Adaptive, true),
            ("adaptive, silence sent", Mode::Adaptive, false),
            ("aggressive", Mode::Aggressive, true),
        ] {
            let settings = Settings { mode, dtx, ..Settings::default() };
            let calls: Vec<calls::Call> = speakers
                .iter()
                .map(|samples| calls::call(&self.model, samples, settings))
                .collect::<Result<_, _>>()?;
            let mean = |of: fn(&calls::Call) -> f64| Mean::of(calls.iter().map(of));
            let (payload, wire) = (mean(|call| call.kbps.0), mean(|call| call.kbps.1));
            let (silent, fallback) = (mean(|call| call.silent), mean(|call| call.fallback));
            let score = mean(|call| call.score);
            let saved = wire::saved((payload.mean, wire.mean));
            println!(
                "| {name} | {:.2} ± {:.2} | {:.1} ± {:.1} | {:.1} % | {:.1} % | {:.0} % | {:.1} ± {:.1} % | {:.3} ± {:.3} |",
                payload.mean,
                payload.error,
                wire.mean,
                wire.error,
                saved.0 * 100.0,
                saved.1 * 100.0,
                silent.mean * 100.0,
                fallback.mean * 100.0,
                fallback.error * 100.0,
                score.mean,
                score.error,
            );
            let name = name.replace(", ", "_").replace(' ', "_");
            for (figure, value) in [
                ("payload_saved", saved.0),
                ("wire_saved", saved.1),
                ("silent", silent.mean),
                ("fallback", fallback.mean),
                ("quality_score", score.mean),
            ] {
                self.figure(format!("call_{name}_{figure}"), value);
            }
        }
        println!();
        Ok(())
    }

    fn bytes(&mut self) {
        println!(
            "## Bytes against Opus at 32 kbit/s in 20 ms packets ({} B of headers a packet)\n",
            wire::OVERHEAD_BYTES
        );
        println!(
            "| packets | payload B | payload kbit/s | wire kbit/s | payload saved | wire saved |\n| --- | --- | --- | --- | --- | --- |"
        );
        for (name, rate, frames, depth) in [
            ("adaptive_6_20ms", Rate::High, 1, 0),
            ("adaptive_6_40ms", Rate::High, 2, 0),
            ("adaptive_3_20ms", Rate::Mid, 1, 0),
            ("adaptive_6_20ms_depth_1", Rate::High, 1, 1),
            ("aggressive_3_60ms", Rate::Mid, 3, 0),
            ("aggressive_1.5_60ms", Rate::Low, 3, 0),
        ] {
            let codes = vec![aic_codec::Codes([0; aic_codec::STAGES]); 8];
            let Ok(payload) = aic_codec::payload::build(rate, &codes[..frames], &codes, depth) else {
                continue;
            };
            let rates = wire::rates(payload.len(), frames * 20);
            let saved = wire::saved(rates);
            println!(
                "| {name} | {} | {:.2} | {:.1} | {:.1} % | {:.1} % |",
                payload.len(),
                rates.0,
                rates.1,
                saved.0 * 100.0,
                saved.1 * 100.0
            );
            let name = name.replace('.', "_");
            self.figure(format!("bytes_{name}_payload_saved"), saved.0);
            self.figure(format!("bytes_{name}_wire_saved"), saved.1);
        }
        println!();
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

    fn losses(&mut self, count: usize) -> anyhow::Result<()> {
        let folder = self.work.join("loss");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let plain = OpusSetting { bps: 32_000, decoder_complexity: PLAIN_COMPLEXITY, fec: None, red: false };
        for clip in clips::stratum(&self.speech, "clean", count)? {
            let original = Coded { samples: clip.samples.clone(), bytes: 0 };
            self.keep(&folder, "reference", &clip, &original)?;
            for percent in [0_u8, 5, 10, 20] {
                for (pattern, lost) in [("random", loss::random(percent)), ("burst", loss::bursts(percent))] {
                    for depth in 0..=3 {
                        let coded = coders::aic(&self.model, &clip.samples, Rate::High, depth, &lost)?;
                        self.keep(
                            &folder,
                            &format!("{pattern}-{percent:02}-aic-depth-{depth}"),
                            &clip,
                            &coded,
                        )?;
                    }
                    let fec = OpusSetting { bps: 24_000, fec: Some(percent.max(1)), ..plain };
                    let red = OpusSetting { red: true, ..plain };
                    for (name, setting) in [("opus-32", plain), ("opus-24-fec", fec), ("opus-32-red", red)] {
                        let coded = coders::opus(&clip.samples, setting, &lost)?;
                        self.keep(&folder, &format!("{pattern}-{percent:02}-{name}"), &clip, &coded)?;
                    }
                    #[cfg(feature = "opus-dnn")]
                    {
                        let coded = coders::opus_dred(&clip.samples, 48_000, percent.max(1), &lost)?;
                        self.keep(&folder, &format!("{pattern}-{percent:02}-opus-48-dred"), &clip, &coded)?;
                    }
                    if percent == 0 {
                        break;
                    }
                }
            }
        }
        let table = self.work.join("loss.csv");
        std::fs::remove_file(&table).ok();
        let scores = judge::score(&folder, &table, "pesq,stoi,plcmos")?;
        println!(
            "\n## Loss (mean ± standard error)\n\n| packets lost, coder | kbit/s | PESQ | STOI | PLCMOS |\n| --- | --- | --- | --- | --- |"
        );
        for (condition, columns) in &scores {
            let kbps = self.kbps(&format!("loss/{condition}"));
            let cell = |column: &str| {
                columns.get(column).map_or(String::new(), |m| format!("{:.2} ± {:.2}", m.mean, m.error))
            };
            println!(
                "| {condition} | {kbps:.1} | {} | {} | {} |",
                cell("pesq"),
                cell("stoi"),
                cell("plcmos")
            );
            for (column, mean) in columns {
                self.figure(format!("loss_{}_{column}", condition.replace('-', "_")), mean.mean);
            }
        }
        println!();
        Ok(())
    }

    fn write_scores(&self) -> anyhow::Result<()> {
        let mut raw = String::new();
        for stratum in ["clean", "noise", "dutch", "music"] {
            let text = std::fs::read_to_string(self.work.join(format!("{stratum}.csv")))?;
            let mut rows = text.lines();
            let header = rows.next().context("a header")?;
            if raw.is_empty() {
                raw.push_str(&format!("stratum,{header},kbps,quality_score\n"));
            }
            for row in rows {
                let cell = |at: usize| row.split(',').nth(at).unwrap_or_default();
                let measured = self.measured.get(&format!("{stratum}/{}", cell(0)));
                let ours = measured.into_iter().flatten().find(|ours| ours.clip == cell(1));
                let ours = ours.with_context(|| format!("{stratum}: unknown row {row}"))?;
                raw.push_str(&format!("{stratum},{row},{:.2},{:.4}\n", ours.kbps, ours.quality));
            }
        }
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks/aic-scores.csv");
        Ok(std::fs::write(&docs, raw)?)
    }

    fn write(&self) -> anyhow::Result<()> {
        let path = target().join("bench/aic.json");
        std::fs::write(&path, serde_json::to_string_pretty(&json!(self.figures))?)?;
        println!("wrote {}", path.display());
        Ok(())
    }
}
