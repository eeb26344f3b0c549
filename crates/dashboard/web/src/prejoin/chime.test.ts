import { describe, expect, it } from "vitest";
import { chime, RATE, wav } from "./chime";

describe("the test sound", () => {
  it("is a second of sound that begins and ends in silence", () => {
    const samples = chime();
    expect(samples.length / RATE).toBeCloseTo(1.1, 3);
    expect(Math.max(...samples)).toBeGreaterThan(5000);
    expect(samples[0]).toBe(0);
    expect(Math.abs(samples.at(-1) ?? 1)).toBeLessThan(Math.max(...samples) / 10);
  });

  it("is whole in its file", () => {
    const samples = chime();
    const file = new DataView(wav(samples, RATE));
    expect(file.byteLength).toBe(44 + samples.length * 2);
    expect(file.getUint32(4, true)).toBe(file.byteLength - 8);
    expect(file.getUint32(40, true)).toBe(samples.length * 2);
    const written = Array.from(samples, (_, index) => file.getInt16(44 + index * 2, true));
    expect(written).toEqual([...samples]);
  });
});
