import { describe, expect, it } from "vitest";
import { focused, tileKey, type Candidate } from "./focus";

const tile = (identity: string, screen = false, local = false): Candidate => ({
  key: tileKey(identity, screen),
  identity,
  screen,
  local,
});
const tiles = [tile("me", false, true), tile("ada"), tile("ben")];
const grid = { pinned: null, mode: "grid", speaker: null } as const;
const speaker = { pinned: null, mode: "speaker", speaker: null } as const;

describe("focus", () => {
  it("is nobody in a plain grid", () => {
    expect(focused(tiles, grid)).toBeNull();
  });

  it("is the last speaker in speaker view, never oneself while others are there", () => {
    expect(focused(tiles, { ...speaker, speaker: "ben" })).toBe("ben/camera");
    expect(focused(tiles, { ...speaker, speaker: "me" })).toBe("ada/camera");
    expect(focused(tiles, speaker)).toBe("ada/camera");
    expect(focused([tile("me", false, true)], speaker)).toBe("me/camera");
    expect(focused([], speaker)).toBeNull();
  });

  it("is the newest screen of somebody else, not one's own", () => {
    const shared = [...tiles, tile("ada", true), tile("ben", true), tile("me", true, true)];
    expect(focused(shared, grid)).toBe("ben/screen");
    expect(focused([...tiles, tile("me", true, true)], grid)).toBeNull();
  });

  it("obeys the pin while its tile is there", () => {
    expect(focused([...tiles, tile("ada", true)], { ...grid, pinned: "ben/camera" })).toBe("ben/camera");
    expect(focused(tiles, { ...grid, pinned: "gone/camera" })).toBeNull();
  });

  it("lets a screen be put back into the grid", () => {
    expect(focused([...tiles, tile("ada", true)], { ...grid, pinned: "none" })).toBeNull();
  });
});
