import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { enter, keepDevices, leavePlace, parseDevices, returningMedia, wasIn } from "./presence";

class Store {
  private readonly entries = new Map<string, string>();
  getItem = (key: string) => this.entries.get(key) ?? null;
  setItem = (key: string, value: string) => void this.entries.set(key, value);
  removeItem = (key: string) => void this.entries.delete(key);
}

beforeEach(() => {
  vi.stubGlobal("sessionStorage", new Store());
  vi.stubGlobal("localStorage", new Store());
});
afterEach(() => vi.unstubAllGlobals());

describe("coming back after a reload", () => {
  const on = () => {
    const { micOn, camOn } = returningMedia({ mic: true, cam: false }).preferences;
    return { micOn, camOn };
  };

  it("comes back with what was on, also where the host had switched it off", () => {
    enter("room");
    keepDevices({ mic: false, cam: true });
    expect(wasIn("room")).toBe(true);
    expect(on()).toEqual({ micOn: false, camOn: true });
  });

  it("does not carry one meeting's devices into the next", () => {
    enter("call:1");
    keepDevices({ mic: false, cam: true });
    leavePlace();
    expect(wasIn("call:1")).toBe(false);
    expect(on()).toEqual({ micOn: true, camOn: false });
  });

  it("takes nothing from what is damaged", () => {
    for (const text of [null, "", "null", "{}", "[1]", '{"mic":1,"cam":true}']) expect(parseDevices(text)).toBeNull();
  });
});
