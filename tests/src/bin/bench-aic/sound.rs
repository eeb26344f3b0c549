//! How it sounds: beside Opus, in noise, in another language, with packets lost.

use std::collections::BTreeMap;
use std::path::Path;

use aic_codec::Rate;
use anyhow::Context;
use auralink_tests::codec_bench::coders::{self, Coded, OpusSetting};
use auralink_tests::codec_bench::judge::{self, Mean, Scores};
use auralink_tests::codec_bench::{clips, loss};

use super::Bench;

const RATES: [(Rate, &str); 3] = [(Rate::Low, "aic-1.5"), (Rate::Mid, "aic-3"), (Rate::High, "aic-6")];
const LADDER: [u32; 6] = [6_000, 9_000, 12_000, 16_000, 24_000, 32_000];
const NOLACE: [u32; 3] = [6_000, 9_000, 12_000];
/// From here on NoLACE runs; below 6 nothing does.
const NOLACE_COMPLEXITY: u8 = 7;
const PLAIN_COMPLEXITY: u8 = 5;

impl Bench {
    pub(crate) fn quality(&mut self, stratum: &str, count: usize) -> anyhow::Result<Scores> {
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

    pub(crate) fn row(&mut self, stratum: &str, condition: &str, columns: &BTreeMap<String, Mean>) {
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
    pub(crate) fn equivalence(&mut self, scores: &Scores) {
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

    pub(crate) fn losses(&mut self, count: usize) -> anyhow::Result<()> {
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

    pub(crate) fn write_scores(&self) -> anyhow::Result<()> {
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
}
