import { describe, expect, it } from "vitest";
import { Level, Speaking } from "./level";
import { figures, since } from "./report";

const usage = { frames: 500, aicFrames: 400, bytes: 6000, qualities: [0.9, 0.8], meanMs: 3, p95Ms: 5 };

describe("usage reports", () => {
  it("count what Opus took while it stood in", () => {
    expect(figures(usage, { quality: 1 })).toEqual({
      frames: 500,
      fallback_frames: 100,
      coded_bytes: 6000 + 100 * 40,
      native_bytes: 500 * 80,
      latency_mean_ms: 3,
      latency_p95_ms: 5,
      quality_mean: expect.closeTo(0.85),
      quality_min: 0.8,
      fallbacks: { quality: 1 },
    });
    expect(figures({ ...usage, qualities: [] }, {})).not.toHaveProperty("quality_mean");
    expect(figures({ ...usage, frames: 0 }, {})).toBeNull();
  });

  it("hold only the fallbacks that are new", () => {
    expect(since({ quality: 3, content: 1, latency: 2 }, { quality: 1, latency: 2 })).toEqual({ quality: 2, content: 1 });
  });
});

describe("who speaks", () => {
  it("is heard by level, through the pauses between words", () => {
    const level = new Level();
    level.add(Float32Array.of(0.5, -0.5, 0.5, -0.5));
    expect(level.take()).toBeCloseTo(0.5);
    expect(level.take()).toBe(0);
    const speaking = new Speaking();
    expect(speaking.step(0.001, 0)).toBe(false);
    expect(speaking.step(0.1, 100)).toBe(true);
    expect(speaking.step(0.001, 400)).toBe(true);
    expect(speaking.step(0.001, 600)).toBe(false);
  });
});
