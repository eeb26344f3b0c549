import { describe, expect, it } from "vitest";
import type { AicFigures, AicMetrics } from "../api/types";
import { bitrate, fallbackPercent, qualityFloor, RANGES, reasons, samples, savedPercent, spanOf } from "./measurements";

const figures = (change: Partial<AicFigures> = {}): AicFigures => ({
  frames: 500,
  fallback_frames: 0,
  fallback_rate: 0,
  coded_bytes: 7500,
  native_bytes: 40_000,
  saved_bytes: 32_500,
  compression_ratio: 0.8125,
  quality: 0.9,
  latency_mean_ms: 1.5,
  latency_p95_ms: 2.5,
  ...change,
});

const point = (at: string, change: Partial<AicFigures> = {}, quality_min: number | null = 0.86) => ({
  at,
  sessions: 1,
  figures: figures(change),
  quality_min,
  fallbacks: {},
});

const metrics = (points: AicMetrics["points"], fallbacks = {}): AicMetrics => ({
  from: "2026-11-21T06:00:00Z",
  to: "2026-11-21T07:00:00Z",
  bucket_s: 30,
  total: { ...point("2026-11-21T06:00:00Z"), fallbacks },
  points,
});

describe("measurements", () => {
  it("ask for whole buckets, about a hundred of them", () => {
    for (const range of RANGES) {
      const { from, to, bucket_s } = spanOf(range, Date.UTC(2026, 10, 21, 6, 3, 7));
      expect(to.getTime() % (bucket_s * 1000)).toBe(0);
      expect(to.getTime() - from.getTime()).toBe(range.seconds * 1000);
      expect(range.seconds / bucket_s).toBeLessThanOrEqual(130);
    }
  });

  it("become percent and stay unknown where they are", () => {
    const measured = metrics([
      point("2026-11-21T06:00:00Z"),
      point("2026-11-21T06:00:30Z", { compression_ratio: null, frames: 0 }),
    ]);
    expect(samples(measured, savedPercent).map(({ value }) => value)).toEqual([81.25, null]);
    expect(samples(measured, fallbackPercent).map(({ value }) => value)).toEqual([0, null]);
    expect(samples(measured, savedPercent)[1]?.at).toBe(Date.parse("2026-11-21T06:00:30Z"));
  });

  it("say the bit rate of what was spoken", () => {
    expect(bitrate(7500, figures())).toBe(6);
    expect(bitrate(0, figures({ frames: 0 }))).toBeNull();
  });

  it("rank the reasons", () => {
    const ranked = reasons(metrics([], { latency: 1, content: 4, overload: 0, quality: 1 }));
    expect(ranked.map(({ reason }) => reason)).toEqual(["content", "latency", "quality"]);
  });

  it("lower the quality axis only when something is there", () => {
    expect(qualityFloor(metrics([point("2026-11-21T06:00:00Z")]))).toBe(0.5);
    expect(qualityFloor(metrics([point("2026-11-21T06:00:00Z", {}, 0.3)]))).toBe(0);
    expect(qualityFloor(metrics([]))).toBe(0.5);
  });
});
