import { describe, expect, it } from "vitest";
import { pause, play, position, seek, STOPPED } from "./transport";

describe("transport", () => {
  it("goes on where it was paused, and from the start at the end", () => {
    const playing = play(STOPPED, 100, 5);
    expect(position(playing, 102, 5)).toBe(2);
    const paused = pause(playing, 103, 5);
    expect(position(paused, 500, 5)).toBe(3);
    expect(position(play(paused, 500, 5), 501, 5)).toBe(4);
    expect(position(playing, 900, 5)).toBe(5);
    expect(position(play(pause(playing, 900, 5), 1000, 5), 1000, 5)).toBe(0);
  });

  it("jumps, playing or not", () => {
    expect(position(seek(STOPPED, 7, 2.5), 9, 5)).toBe(2.5);
    expect(position(seek(play(STOPPED, 0, 5), 7, 2.5), 8, 5)).toBe(3.5);
  });
});
