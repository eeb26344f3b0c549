import { describe, expect, it } from "vitest";
import { loudness } from "./level";

const sine = (amplitude: number) => Float32Array.from({ length: 1024 }, (_, i) => amplitude * Math.sin(i / 5));

describe("loudness", () => {
  it("is zero for silence and grows with the signal", () => {
    expect(loudness(new Float32Array(1024))).toBe(0);
    const quiet = loudness(sine(0.01));
    const speech = loudness(sine(0.2));
    expect(quiet).toBeGreaterThan(0);
    expect(speech).toBeGreaterThan(quiet);
    expect(loudness(sine(1))).toBeLessThanOrEqual(1);
  });

  it("survives an empty buffer", () => {
    expect(loudness(new Float32Array(0))).toBe(0);
  });
});
