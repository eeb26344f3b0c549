import { describe, expect, it } from "vitest";
import { turns } from "./turns";

describe("turns", () => {
  it("runs so many at once, in order, whatever fails", async () => {
    const inTurn = turns(2);
    const begun: number[] = [];
    const ends: ((fails: boolean) => void)[] = [];
    const all = [0, 1, 2, 3].map((n) =>
      inTurn(() => {
        begun.push(n);
        return new Promise<number>((resolve, reject) => ends.push((fails) => (fails ? reject(new Error()) : resolve(n))));
      }).catch(() => -1),
    );
    expect(begun).toEqual([0, 1]);
    ends[1]?.(true);
    expect(await all[1]).toBe(-1);
    expect(begun).toEqual([0, 1, 2]);
    ends[0]?.(false);
    expect(await all[0]).toBe(0);
    expect(begun).toEqual([0, 1, 2, 3]);
    ends[2]?.(false);
    ends[3]?.(false);
    expect(await Promise.all(all)).toEqual([0, -1, 2, 3]);
    await inTurn(async () => begun.push(4));
    expect(begun).toContain(4);
  });
});
