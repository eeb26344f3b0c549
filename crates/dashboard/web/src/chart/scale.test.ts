import { describe, expect, it } from "vitest";
import { nearest, niceStep, runs, timeTicks, valueScale } from "./scale";

describe("scales", () => {
  it("steps in round numbers", () => {
    expect(niceStep(100, 4)).toBe(50);
    expect(niceStep(1, 5)).toBeCloseTo(0.2);
    expect(niceStep(17, 4)).toBe(5);
    expect(niceStep(0, 4)).toBe(1);
  });

  it("ends at or above the largest value, with the top at pixel 0", () => {
    const scale = valueScale(17, 100);
    expect(scale.ticks).toEqual([0, 5, 10, 15, 20]);
    expect(scale.at(0)).toBe(100);
    expect(scale.at(20)).toBe(0);
    expect(valueScale(0, 100).max).toBeGreaterThan(0);
  });

  it("spans floor and ceiling in equal steps", () => {
    const scale = valueScale(0.93, 100, { floor: 0.5, ceiling: 1 });
    expect([scale.min, scale.max]).toEqual([0.5, 1]);
    expect(scale.ticks).toEqual([0.5, 0.75, 1]);
    expect(valueScale(12, 100, { ceiling: 100, count: 3 }).ticks).toEqual([0, 50, 100]);
  });

  it("puts times at round places of the local clock", () => {
    const from = Date.UTC(2026, 10, 21, 6, 2);
    const ticks = timeTicks(from, from + 3_600_000, 5);
    expect(ticks.map((at) => new Date(at).toISOString().slice(11, 16))).toEqual(["06:15", "06:30", "06:45", "07:00"]);
    const india = timeTicks(from, from + 6 * 3_600_000, 6, 5.5 * 3_600_000);
    expect(india.every((at) => new Date(at).getUTCMinutes() === 30)).toBe(true);
  });
});

describe("samples", () => {
  it("are joined only where time was measured", () => {
    const samples = [
      { at: 0, value: 1 },
      { at: 10, value: 2 },
      { at: 20, value: null },
      { at: 30, value: 3 },
      { at: 90, value: 4 },
    ];
    expect(runs(samples, 15).map((run) => run.map(({ at }) => at))).toEqual([[0, 10], [30], [90]]);
    expect(runs([], 15)).toEqual([]);
  });

  it("are found by the nearest time", () => {
    const samples = [{ at: 0 }, { at: 10 }, { at: 30 }];
    expect(nearest(samples, 19)).toBe(1);
    expect(nearest(samples, 21)).toBe(2);
    expect(nearest([], 3)).toBeNull();
  });
});
