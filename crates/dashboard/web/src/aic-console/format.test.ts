import { describe, expect, it } from "vitest";
import { bucketLength, kilobits, kilobytes, milliseconds, percent, score } from "./format";

describe("figures", () => {
  it("have as many digits as they are worth", () => {
    expect([percent(81.25), percent(0.4), percent(0), percent(100)]).toEqual(["81 %", "0.4 %", "0 %", "100 %"]);
    expect([milliseconds(1.54), milliseconds(20), milliseconds(18.8)]).toEqual(["1.5 ms", "20 ms", "19 ms"]);
    expect([score(0.875), score(1)]).toEqual(["0.88", "1.00"]);
    expect([kilobits(6), kilobits(6.72), kilobits(32.4)]).toEqual(["6", "6.7", "32"]);
    expect([kilobytes(0), kilobytes(4.06), kilobytes(250), kilobytes(1250)]).toEqual(["0 kB", "4.1 kB", "250 kB", "1.3 MB"]);
  });

  it("say when they are unknown", () => {
    expect([percent(null), milliseconds(null), score(null), kilobits(null)]).toEqual(["–", "–", "–", "–"]);
  });

  it("name the length of a bucket", () => {
    expect([10, 30, 900, 7200].map(bucketLength)).toEqual(["10 s", "30 s", "15 min", "2 h"]);
  });
});
