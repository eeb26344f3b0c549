// The real codec and the real model, as `make web` puts them into src/aic/files.
import { existsSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { Codec } from "./codec";
import { FRAME, FRAME_MS, SAMPLE_RATE, type Files, type Settings } from "./messages";

const NAMES = { wasm: "aic.wasm", manifest: "manifest.json", encoder: "encoder.onnx", decoder: "decoder.onnx", codebooks: "codebooks.f16" };
const path = (name: string) => new URL(`files/${name}`, import.meta.url);
const built = Object.values(NAMES).every((name) => existsSync(path(name)));
const read = (name: string): ArrayBuffer => Uint8Array.from(readFileSync(path(name))).buffer;
const files = () => Object.fromEntries(Object.entries(NAMES).map(([part, name]) => [part, read(name)])) as unknown as Files;
const ANY: Settings = { mode: "conservative", minQuality: 0, maxLatencyMs: 1000 };

/** Harmonics of a wandering pitch in syllables: enough like speech to be coded as such. */
function voice(frames: number): Float32Array[] {
  let phase = 0;
  return Array.from({ length: frames }, (_, frame) =>
    Float32Array.from({ length: FRAME }, (_, index) => {
      const t = (frame * FRAME + index) / SAMPLE_RATE;
      phase += (2 * Math.PI * (120 + 15 * Math.sin(4 * t))) / SAMPLE_RATE;
      const syllable = 0.5 - 0.5 * Math.cos(2 * Math.PI * 4 * t);
      let sample = 0;
      for (let k = 1; k <= 15; k += 1) sample += Math.sin(k * phase) / (k + ((k * 120 - 600) / 300) ** 2);
      return 0.15 * syllable * sample;
    }),
  );
}

/** Hiss 50 dB under a voice. */
function room(frames: number): Float32Array[] {
  let state = 1;
  const next = () => (state = (state * 48_271) % 2_147_483_647) / 1_073_741_823 - 1;
  return Array.from({ length: frames }, () => Float32Array.from({ length: FRAME }, () => 0.0005 * next()));
}

const power = (samples: readonly number[]) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;

describe.skipIf(!built)("the codec in WebAssembly", () => {
  let codec: Codec;
  beforeAll(async () => {
    codec = await Codec.load(files());
  });

  it("knows its model", () => {
    expect(codec.model).toBe("aic16m-1");
  });

  it("carries a voice", () => {
    const sender = codec.sender(ANY);
    const receiver = codec.receiver();
    const said = voice(150);
    const heard: number[] = [];
    let bytes = 0;
    said.forEach((frame, index) => {
      const now = index * FRAME_MS;
      const payload = sender.push(frame, now, 1);
      if (payload) {
        bytes += payload.length;
        expect(receiver.insert(sender.first, payload)).toBe(true);
      }
      heard.push(...receiver.pull().pcm);
    });
    expect(heard).toHaveLength(150 * FRAME);
    expect(heard.every(Number.isFinite)).toBe(true);
    const kbps = (bytes * 8) / (150 * FRAME_MS);
    expect(kbps).toBeGreaterThan(1);
    expect(kbps).toBeLessThan(10);
    const level = 10 * Math.log10(power(heard.slice(SAMPLE_RATE)) / power(said.slice(50).flatMap((frame) => [...frame])));
    expect(Math.abs(level)).toBeLessThan(6);
    sender.close();
    receiver.close();
  });

  it("invents what is lost, then fades into the background", () => {
    const sender = codec.sender(ANY);
    const receiver = codec.receiver();
    let now = 0;
    // The room first: without having heard it nobody knows what to fade into.
    for (const frame of [...room(50), ...voice(75)]) {
      const payload = sender.push(frame, now, 1);
      if (payload) receiver.insert(sender.first, payload);
      receiver.pull();
      now += FRAME_MS;
    }
    const after = Array.from({ length: 50 }, () => receiver.pull());
    expect(after.some(({ played }) => played === "concealed")).toBe(true);
    const before = power(voice(75).flatMap((frame) => [...frame]));
    expect(power([...(after.at(-1)?.pcm ?? [])])).toBeLessThan(before / 20);
    sender.close();
    receiver.close();
  });

  it("sends Opus as low as the link is", () => {
    const link = { mode: "adaptive", reason: null, share: 0 } as const;
    expect(codec.rung({ ...link, availableBps: 30_000 }, 0)).toBe(20_000);
    expect(codec.rung({ ...link, reason: "quality", availableBps: 30_000 }, 100)).toBe(16_000);
    expect(codec.rung({ ...link, availableBps: 14_000 }, 200)).toBe(6_000);
  });

  it("refuses what is no payload", () => {
    const receiver = codec.receiver();
    for (const bytes of [[], [0xff], [0xc0, 1, 2, 3], Array.from({ length: 500 }, () => 0x80)]) {
      expect(receiver.insert(0, Uint8Array.from(bytes))).toBe(false);
    }
    expect(receiver.pull().pcm).toHaveLength(FRAME);
    receiver.close();
  });

  it("refuses a model whose files are not what its manifest says", async () => {
    const damaged = files();
    new Uint8Array(damaged.encoder)[1000] = 0x55;
    await expect(Codec.load(damaged)).rejects.toThrow(/encoder\.onnx/);
  });
});
