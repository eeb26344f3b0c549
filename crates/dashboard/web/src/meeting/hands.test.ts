import { describe, expect, it } from "vitest";
import { handQueue, raisedAt } from "./hands";

const person = (identity: string, hand?: string): { identity: string; attributes: Record<string, string> } => ({
  identity,
  attributes: hand === undefined ? {} : { "aura.hand": hand },
});

describe("raised hands", () => {
  it("queues in the order they went up", () => {
    const queue = handQueue([person("c", "300"), person("none"), person("a", "100"), person("b", "100"), person("down", "")]);
    expect(queue.map(({ identity }) => identity)).toEqual(["a", "b", "c"]);
  });

  it("ignores what is not a time", () => {
    expect(raisedAt({ "aura.hand": "soon" })).toBeNull();
    expect(raisedAt({ "aura.hand": "-1" })).toBeNull();
    expect(raisedAt({})).toBeNull();
  });
});
