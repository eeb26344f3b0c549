import { describe, expect, it } from "vitest";
import { nominal, scoreTexts, variantName, variantNote } from "./names";

describe("names of versions", () => {
  it("come from what was asked for, notes from what was measured", () => {
    const variant = { id: "aic-1.5", codec: "aic" as const, kbps: 1.53, url: "", scores: {} };
    expect(nominal("aic-1.5")).toBe(1.5);
    expect(nominal("original")).toBeNull();
    expect(variantName(variant)).toBe("AIC 1.5 kbit/s");
    expect(variantNote(variant)).toBe("1.5 kbit/s measured · 21 times less than Opus at 32");
    expect(variantName({ id: "original", codec: "original" })).toBe("Original");
  });

  it("list the scores there are", () => {
    expect(scoreTexts({ stoi: 0.934, quality: 0.9 })).toEqual(["quality 0.90", "STOI 0.93"]);
    expect(scoreTexts({})).toEqual([]);
  });
});
