import { describe, expect, it } from "vitest";
import type { Catalogue, Clip, Variant } from "./catalogue";
import { makeTrials, preferred, tally, type Answer } from "./blind";

const variant = (id: string): Variant => ({
  id,
  codec: id.startsWith("aic") ? "aic" : id.startsWith("opus") ? "opus" : "original",
  kbps: 1,
  url: `/samples/one/${id}.flac`,
  scores: {},
});
const clip = (id: string, variants: string[]): Clip => ({
  id,
  title: id,
  language: "en",
  text: "",
  credit: "",
  duration_s: 5,
  variants: variants.map(variant),
});
const ALL = ["original", "aic-1.5", "aic-3", "aic-6", "opus-6", "opus-12", "opus-24", "opus-32"];
const catalogue = (clips: Clip[]): Catalogue => ({ model: "aic16m-1", clips });

/** A small generator with a seed, so that a failure can be repeated. */
function chance(seed: number) {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

describe("the blind comparison", () => {
  it("offers each pair once, in clips that have both, on either side", () => {
    const sides = new Set<string>();
    for (let seed = 1; seed < 40; seed++) {
      const trials = makeTrials(catalogue([clip("one", ALL), clip("two", ALL), clip("three", ["original", "aic-6"])]), chance(seed));
      expect(trials.length).toBe(8);
      const pairs = trials.map(({ a, b }) => [a.id, b.id].sort().join());
      expect(new Set(pairs).size).toBe(8);
      for (const { clip, a, b } of trials) {
        expect(clip.variants).toEqual(expect.arrayContaining([a, b]));
        if ([a.id, b.id].includes("opus-24")) sides.add(a.id);
      }
    }
    expect([...sides].sort()).toEqual(["aic-6", "opus-24"]);
  });

  it("offers nothing where there is nothing to compare", () => {
    expect(makeTrials(catalogue([clip("one", ["original", "opus-12"])]), chance(1))).toEqual([]);
  });

  it("counts what was preferred", () => {
    const trial = { clip: clip("one", ALL), a: variant("aic-6"), b: variant("opus-12") };
    const answers: Answer[] = [
      { trial, choice: "a" },
      { trial, choice: "same" },
      { trial: { ...trial, a: variant("opus-24"), b: variant("aic-6") }, choice: "b" },
    ];
    expect(preferred(answers[2]!)?.id).toBe("aic-6");
    expect(tally(answers).map(({ id, won, lost, same }) => [id, won, lost, same])).toEqual([
      ["aic-6", 2, 0, 1],
      ["opus-12", 0, 1, 1],
      ["opus-24", 0, 1, 0],
    ]);
  });
});
