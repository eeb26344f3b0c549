import { describe, expect, it } from "vitest";
import { initials } from "./avatar";

describe("initials", () => {
  it("are letters where there are any", () => {
    expect(initials("Ada King Lovelace")).toBe("AL");
    expect(initials("Dora with a mask 😷")).toBe("DM");
    expect(initials("(Zoë) @home")).toBe("ZH");
    expect(initials("محمد عبدالله")).toBe("مع");
    expect(initials("😷")).toBe("😷");
    expect(initials("  ")).toBe("?");
  });
});
