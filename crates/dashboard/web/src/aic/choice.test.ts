import { describe, expect, it } from "vitest";
import { Chooser, plan, RETURN_MS, SETTLE_MS, type Situation } from "./choice";

const able = { model: "m", want: true };
const willing = { model: "m", want: false };
const stranger = { model: undefined, want: false };
const base: Situation = { want: true, enabled: true, model: "m", trouble: null, listeners: [able] };

describe("what a page sends", () => {
  it("is Opus while nobody asks for less", () => {
    expect(plan({ ...base, want: false, listeners: [willing] })).toEqual({ aic: false, opus: true, reason: null });
  });

  it("is AIC alone when everybody can take it", () => {
    expect(plan(base)).toEqual({ aic: true, opus: false, reason: null });
    expect(plan({ ...base, listeners: [willing, able] })).toEqual({ aic: true, opus: false, reason: null });
    expect(plan({ ...base, want: false })).toEqual({ aic: true, opus: false, reason: null });
  });

  it("is both when others listen on a good link", () => {
    expect(plan({ ...base, want: false, listeners: [able, willing] })).toEqual({ aic: true, opus: true, reason: null });
    expect(plan({ ...base, want: false, listeners: [able, stranger] })).toEqual({ aic: true, opus: true, reason: "unavailable" });
  });

  it("is Opus, with the reason, in any doubt", () => {
    const opus = (change: Partial<Situation>) => {
      const { aic, opus, reason } = plan({ ...base, ...change });
      expect({ aic, opus }).toEqual({ aic: false, opus: true });
      return reason;
    };
    expect(opus({ enabled: false })).toBe("disabled");
    expect(opus({ model: null })).toBe("unavailable");
    expect(opus({ trouble: "content" })).toBe("content");
    expect(opus({ listeners: [able, stranger] })).toBe("unavailable");
    expect(opus({ listeners: [able, { model: "other", want: true }] })).toBe("model_mismatch");
  });
});

describe("changing over", () => {
  it("stops Opus only after a while, starts it at once, and comes back later still", () => {
    const chooser = new Chooser();
    expect(chooser.step(base, 0)).toMatchObject({ aic: true, opus: true });
    expect(chooser.step(base, SETTLE_MS - 1).opus).toBe(true);
    expect(chooser.step(base, SETTLE_MS).opus).toBe(false);

    const joined = { ...base, listeners: [able, stranger] };
    expect(chooser.step(joined, 5000)).toEqual({ aic: false, opus: true, reason: "unavailable" });
    chooser.step(joined, 5100);
    expect(chooser.fallbacks).toEqual({ unavailable: 1 });

    expect(chooser.step(base, 6000).opus).toBe(true);
    expect(chooser.step(base, 6000 + RETURN_MS - 1).opus).toBe(true);
    expect(chooser.step(base, 6000 + RETURN_MS).opus).toBe(false);
  });

  it("counts each time that AIC is left, by the reason it is left for", () => {
    const chooser = new Chooser();
    chooser.step({ ...base, model: null }, 0);
    expect(chooser.fallbacks).toEqual({});
    chooser.step(base, 10);
    chooser.step({ ...base, trouble: "quality" }, 20);
    chooser.step({ ...base, trouble: "overload" }, 30);
    chooser.step(base, 40);
    chooser.step({ ...base, want: false, listeners: [] }, 50);
    expect(chooser.fallbacks).toEqual({ quality: 1 });
  });
});
