#!/usr/bin/env node
// Makes the recordings of the listening page from WAV files, with ffmpeg (libopus, flac).
//
//   node scripts/make-samples.mjs IN [OUT]        OUT defaults to public/samples, which is emptied first
//
// IN holds clips.json and the WAV files it names (any rate, mono):
//
//   { "model": "aic16m-1",
//     "clips": [{
//       "id": "reader-1", "title": "A woman reads", "language": "en", "text": "What is said.",
//       "credit": "LibriSpeech test-clean 1089, CC BY 4.0",
//       "start_s": 0, "seconds": 5,                      // the part to keep: 6 s at most
//       "original": "reader-1.wav",
//       "aic": { "1.5": { "wav": "reader-1.aic-1.5.wav", // decoded by AIC, same rate as the original
//                         "kbps": 1.5,                   // payload as measured
//                         "delay_samples": 160,          // at 16 kHz, what the WAV is late by; 0 when absent
//                         "scores": { "quality": 0.86, "pesq": 1.7, "stoi": 0.88, "dnsmos": 3.2 } },
//                "3": { … }, "6": { … } },
//       "opus": { "12": { "scores": { … } } },           // optional: scores of the versions made here
//     }] }
//
// The Opus versions (6, 12, 24, 32 kbit/s; VBR, voice, frames of 20 ms, 48 kHz) are encoded here, their rate is measured
// from their packets, and what is played is decoded again: every version is FLAC, 16 kHz, 16 bit, of the same length,
// so that the page can change between them in the middle of a word. index.json is what the page reads
// (src/aic-console/listen/catalogue.ts). More than 3 MB in all is refused.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const RATE = 16_000;
const OPUS = ["6", "12", "24", "32"];
const AIC = ["1.5", "3", "6"];
const MAX_SECONDS = 6;
const MAX_BYTES = 3_000_000;
const SCORES = ["quality", "pesq", "stoi", "dnsmos"];

const [input, output = join(dirname(fileURLToPath(import.meta.url)), "../public/samples")] = process.argv.slice(2);
if (!input) {
  console.error("usage: node scripts/make-samples.mjs IN [OUT]");
  process.exit(2);
}
const inputs = resolve(input);
const outputs = resolve(output);
const { model, clips } = JSON.parse(readFileSync(join(inputs, "clips.json"), "utf8"));

const ffmpeg = (...args) => execFileSync("ffmpeg", ["-v", "error", "-nostdin", "-y", ...args]);

/** Cut to the clip's part, at our rate, exactly `samples` long. */
function toFlac(from, to, { start, delay = 0, samples }) {
  const first = Math.round(start * RATE) + delay;
  const filter = `aresample=${RATE},atrim=start_sample=${first},asetpts=N/SR/TB,apad,atrim=end_sample=${samples}`;
  ffmpeg("-i", from, "-ac", "1", "-af", filter, "-sample_fmt", "s16", "-compression_level", "12", "-map_metadata", "-1", "-bitexact", to);
}

/** Payload rate of an Opus file in kbit/s: the sizes of its packets over their time. */
function opusRate(file) {
  const lines = execFileSync("ffprobe", ["-v", "error", "-show_entries", "packet=size", "-of", "csv=p=0", file], { encoding: "utf8" });
  const sizes = lines.split("\n").map((line) => Number.parseInt(line, 10)).filter((size) => size > 0);
  return (sizes.reduce((sum, size) => sum + size, 0) * 8) / (sizes.length * 20);
}

const rounded = (value) => Number(value.toFixed(2));
const known = (scores = {}) => Object.fromEntries(SCORES.filter((name) => Number.isFinite(scores[name])).map((name) => [name, rounded(scores[name])]));

rmSync(outputs, { recursive: true, force: true });
const work = mkdtempSync(join(tmpdir(), "samples-"));
let bytes = 0;
const index = { format: 1, model, clips: [] };
try {
  for (const clip of clips) {
    const { id, title, language, text, credit, start_s: start = 0, seconds, original, aic = {}, opus = {} } = clip;
    if (!/^[\w-]+$/.test(id) || !(seconds > 0 && seconds <= MAX_SECONDS)) throw new Error(`${id}: bad id or length`);
    const samples = Math.round(seconds * RATE);
    mkdirSync(join(outputs, id), { recursive: true });
    const variants = [];
    const add = (variant, codec, kbps, scores, make) => {
      const file = `${id}/${variant}.flac`;
      make(join(outputs, file));
      bytes += statSync(join(outputs, file)).size;
      variants.push({ id: variant, codec, kbps: rounded(kbps), file, scores: known(scores) });
    };
    const source = join(inputs, original);
    add("original", "original", (RATE * 16) / 1000, {}, (to) => toFlac(source, to, { start, samples }));
    for (const rate of AIC.filter((rate) => aic[rate])) {
      const { wav, kbps, delay_samples: delay, scores } = aic[rate];
      add(`aic-${rate}`, "aic", kbps, scores, (to) => toFlac(join(inputs, wav), to, { start, delay, samples }));
    }
    for (const rate of OPUS) {
      const coded = join(work, `${id}-${rate}.opus`);
      const cut = ["-ss", String(start), "-t", String(seconds + 0.5), "-i", source, "-ac", "1", "-ar", "48000"];
      ffmpeg(...cut, "-c:a", "libopus", "-b:a", `${rate}k`, "-application", "voip", "-frame_duration", "20", "-vbr", "on", coded);
      add(`opus-${rate}`, "opus", opusRate(coded), opus[rate]?.scores, (to) => toFlac(coded, to, { start: 0, samples }));
    }
    index.clips.push({ id, title, language, text, credit, duration_s: seconds, variants });
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
if (bytes > MAX_BYTES) {
  rmSync(outputs, { recursive: true, force: true });
  throw new Error(`${bytes} bytes are more than ${MAX_BYTES}: shorten the clips`);
}
writeFileSync(join(outputs, "index.json"), `${JSON.stringify(index, null, 1)}\n`);
console.log(`${index.clips.length} clips, ${(bytes / 1e6).toFixed(2)} MB in ${outputs}`);
