import { describe, expect, it } from "vitest";
import { read, unwrap, write } from "./framing";

describe("packets on the data track", () => {
  it("come back as they were written", () => {
    const payload = Uint8Array.of(1, 2, 3);
    expect(read(write(32_769, true, payload))).toEqual({ frame: 1, opusPaused: true, payload });
    expect(read(write(5, false, new Uint8Array()))).toEqual({ frame: 5, opusPaused: false, payload: new Uint8Array() });
    expect(write(5, true, payload)).toEqual(Uint8Array.of(0x80, 5, 1, 2, 3));
  });

  it("are at least a header long", () => {
    expect(read(new Uint8Array(1))).toBeNull();
    expect(read(new Uint8Array())).toBeNull();
  });

  it("count on past the end of the field, in both directions", () => {
    expect(unwrap(5, 32_766)).toBe(32_773);
    expect(unwrap(32_766, 32_770)).toBe(32_766);
    expect(unwrap(0, 0)).toBe(0);
    expect(unwrap(3, 65_536 + 1)).toBe(65_539);
  });
});
