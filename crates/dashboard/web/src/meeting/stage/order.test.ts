import { describe, expect, it } from "vitest";
import { order, promote, type Ordered } from "./order";

const tile = (identity: string, joinedAt: number, change: Partial<Ordered> = {}): Ordered => ({
  key: `${identity}/camera`,
  identity,
  local: false,
  screen: false,
  hand: null,
  joinedAt,
  ...change,
});
const names = (tiles: Ordered[]) => tiles.map(({ identity }) => identity);

describe("order of tiles", () => {
  it("is screens, oneself, raised hands in turn, then by arrival", () => {
    const tiles = [
      tile("late", 30),
      tile("early", 10),
      tile("second-hand", 5, { hand: 200 }),
      tile("first-hand", 6, { hand: 100 }),
      tile("me", 20, { local: true }),
      tile("early", 10, { key: "early/screen", screen: true }),
    ];
    expect(names(order(tiles))).toEqual(["early", "me", "first-hand", "second-hand", "early", "late"]);
  });

  it("brings a speaker onto the first page and leaves the rest in place", () => {
    const tiles = ["a", "b", "c", "d", "e"].map((name, index) => tile(name, index));
    expect(names(promote(tiles, "e", 3))).toEqual(["a", "b", "e", "c", "d"]);
    expect(names(promote(tiles, "b", 3))).toEqual(["a", "b", "c", "d", "e"]);
    expect(names(promote(tiles, null, 3))).toEqual(["a", "b", "c", "d", "e"]);
    expect(names(promote([], "a", 3))).toEqual([]);
  });
});
