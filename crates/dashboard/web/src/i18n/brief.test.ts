import { describe, expect, it } from "vitest";
import { brief, cut, firstCharacter } from "./brief";

const family = "👩‍👩‍👧‍👦";

describe("names in a sentence", () => {
  it("leaves short ones alone and cuts long ones", () => {
    expect(cut("Ada Lovelace", 32)).toBe("Ada Lovelace");
    expect(cut("a".repeat(100), 10)).toBe(`${"a".repeat(9)}…`);
    expect(cut("", 10)).toBe("");
  });

  it("cuts between characters, not within them", () => {
    expect(cut(family.repeat(9), 3)).toBe(`${family}${family}…`);
    expect(cut(family.repeat(3), 3)).toBe(family.repeat(3));
    expect(firstCharacter(`${family}x`)).toBe(family);
    expect(firstCharacter("")).toBe("");
  });

  it("keeps a name's direction to the name", () => {
    expect(`${brief("שלום")} joined`).toBe("\u2068שלום\u2069 joined");
  });

  it("bounds even what is no name", () => {
    expect(cut(`a${"\u0301".repeat(5000)}`, 10).length).toBeLessThan(200);
  });
});
