import { describe, expect, it } from "vitest";
import type { AicConfig } from "../api/types";
import { draftOf, read, same } from "./settings";

const config: AicConfig = {
  enabled: true,
  mode: "adaptive",
  target_compression_ratio: 0.8,
  max_latency_ms: 20,
  min_quality_score: 0.85,
  enable_fallback: true,
  gpu: { enabled: false, device_id: 0 },
  updated_at: null,
};

describe("codec settings", () => {
  it("survive the way into the form and back", () => {
    const { updated_at: _, ...settings } = config;
    expect(read(draftOf(config))).toEqual({ change: settings });
  });

  it("take a decimal comma, and refuse what is out of range by name", () => {
    const draft = draftOf(config);
    expect(read({ ...draft, quality: "0,9" })).toMatchObject({ change: { min_quality_score: 0.9 } });
    const refused = read({ ...draft, target: "100", latency: "", quality: "1.1", device: "1.5" });
    expect(refused).toEqual({ faults: { target: [0, 99], latency: [1, 1000], quality: [0, 1], device: [0, 63] } });
  });

  it("know whether anything has changed", () => {
    expect(same(draftOf(config), draftOf({ ...config }))).toBe(true);
    expect(same(draftOf(config), draftOf({ ...config, mode: "aggressive" }))).toBe(false);
  });
});
