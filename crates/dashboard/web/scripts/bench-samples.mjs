#!/usr/bin/env node
// Chooses recordings for the listening page among what `make bench-aic` rendered, and writes the list that
// make-samples.mjs reads.
//
//   node scripts/bench-samples.mjs BENCH SCORES       BENCH: target/bench/aic; SCORES: docs/benchmarks/aic-scores.csv
//
// All are readers nobody trained on.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LIBRISPEECH = "LibriSpeech (Panayotov et al. 2015), CC BY 4.0";
const CLIPS = [
  { stratum: "clean", name: "3331-159605-0007", language: "en", credit: LIBRISPEECH },
  { stratum: "clean", name: "2414-128291-0004", language: "en", credit: LIBRISPEECH },
  { stratum: "noise", name: "533-1066-0007", language: "en", credit: `${LIBRISPEECH}; noise added`, noisy: true },
  { stratum: "dutch", language: "nl", credit: "rhasspy dataset-voice-nathalie, CC0" },
];
const SECONDS = 5;

const [bench, table] = process.argv.slice(2);
if (!bench || !table) {
  console.error("usage: node scripts/bench-samples.mjs BENCH SCORES");
  process.exit(2);
}
const [header, ...lines] = readFileSync(table, "utf8").trim().split("\n").map((line) => line.split(","));
const rows = lines.map((cells) => Object.fromEntries(header.map((name, at) => [name, cells[at]])));
const { id: model } = JSON.parse(readFileSync(new URL("../../../aic-codec/models/aic16m-1/manifest.json", import.meta.url), "utf8"));

const clips = CLIPS.map(({ stratum, name, language, credit, noisy }, at) => {
  const clip = name ?? rows.find((row) => row.stratum === stratum)?.clip;
  const measured = (condition) => {
    const row = rows.find((one) => one.stratum === stratum && one.clip === clip && one.condition === condition);
    if (!row) throw new Error(`${table} has no ${condition} of ${clip}: run make bench-aic`);
    const number = (column) => Number.parseFloat(row[column]);
    const scores = { quality: number("quality_score"), pesq: number("pesq"), stoi: number("stoi"), dnsmos: number("p808") };
    return { kbps: number("kbps"), scores };
  };
  const aic = (rate) => [rate, { wav: `${stratum}/aic-${rate}/${clip}.wav`, ...measured(`aic-${rate}`) }];
  // Its sound is made anew, the same way; only what it scored is taken from the table.
  const opus = (rate) => [rate, { scores: measured(`opus-1.3-${rate.padStart(2, "0")}`).scores }];
  return {
    id: `reader-${at + 1}`,
    title: `Reader ${at + 1}${noisy ? ", beside a ventilator" : ""}`,
    language,
    text: "",
    credit: `${credit}, ${clip}`,
    seconds: SECONDS,
    original: `${stratum}/reference/${clip}.wav`,
    aic: Object.fromEntries(["1.5", "3", "6"].map(aic)),
    opus: Object.fromEntries(["6", "12", "24", "32"].map(opus)),
  };
});
writeFileSync(join(bench, "clips.json"), JSON.stringify({ model, clips }, null, 1));
