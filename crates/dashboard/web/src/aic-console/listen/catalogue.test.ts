import { describe, expect, it } from "vitest";
import { loadCatalogue, readCatalogue } from "./catalogue";

const variant = (id: string, codec: string, kbps: number, more = {}) => ({ id, codec, kbps, file: `one/${id}.flac`, ...more });
const clip = (variants: unknown[]) => ({ id: "one", title: "A voice", language: "en", duration_s: 5, variants });
const index = (variants: unknown[]) => ({ format: 1, model: "aic16m-1", clips: [clip(variants)] });

describe("the catalogue of samples", () => {
  it("puts the original first, then AIC, then Opus, each from low to high", () => {
    const read = readCatalogue(
      index([variant("opus-12", "opus", 12.1), variant("aic-6", "aic", 6), variant("original", "original", 256), variant("aic-1.5", "aic", 1.5)]),
    );
    expect(read?.clips[0]?.variants.map(({ id }) => id)).toEqual(["original", "aic-1.5", "aic-6", "opus-12"]);
    expect(read?.clips[0]?.variants[0]?.url).toBe("/samples/one/original.flac");
  });

  it("keeps known scores and drops the rest", () => {
    const scores = { quality: 0.9, pesq: "high", stoi: 0.93, charm: 7 };
    const read = readCatalogue(index([variant("original", "original", 256), variant("aic-6", "aic", 6, { scores })]));
    expect(read?.clips[0]?.variants[1]?.scores).toEqual({ quality: 0.9, stoi: 0.93 });
  });

  it("leaves out what does not fit, and files that are not ours", () => {
    const good = [variant("original", "original", 256), variant("aic-6", "aic", 6)];
    for (const file of ["https://evil.example/a.flac", "../../x.flac", "one/..flac/../a", "one/a.html", "/one/a.flac"]) {
      const read = readCatalogue(index([...good, variant("opus-12", "opus", 12, { file })]));
      expect(read?.clips[0]?.variants.length, file).toBe(2);
    }
    expect(readCatalogue(index([...good.slice(0, 1), variant("aic-6", "magic", 6)]))).toBeNull();
    expect(readCatalogue({ ...index(good), format: 2 })).toBeNull();
    for (const nothing of [null, [], "x", {}]) expect(readCatalogue(nothing)).toBeNull();
  });

  it("is absent where there are no samples", async () => {
    const answer = (status: number, body: string) => async () => new Response(body, { status });
    expect(await loadCatalogue(answer(404, "") as typeof fetch)).toBeNull();
    expect(await loadCatalogue(answer(200, "<html>") as typeof fetch)).toBeNull();
  });
});
