import { describe, expect, it } from "vitest";
import { duration, fileSize, shortDate } from "./time";

describe("time", () => {
  it("writes durations", () => {
    expect(duration(0)).toBe("0:00");
    expect(duration(75.9)).toBe("1:15");
    expect(duration(3700)).toBe("1:01:40");
    expect(duration(-3)).toBe("0:00");
  });

  it("writes sizes", () => {
    expect(fileSize(0)).toBe("0 B");
    expect(fileSize(999)).toBe("999 B");
    expect(fileSize(1536)).toBe("1.5 kB");
    expect(fileSize(104_857_600)).toBe("105 MB");
  });

  it("shortens a date by its age", () => {
    const now = new Date("2026-11-20T12:00:00");
    expect(shortDate("2026-11-20T09:30:00", now)).toMatch(/^0?9:30/);
    expect(shortDate("2026-11-18T09:30:00", now)).toMatch(/^Wed/);
    expect(shortDate("2026-03-03T09:30:00", now)).toMatch(/2026/);
  });
});
