import { DisconnectReason } from "livekit-client";
import { describe, expect, it } from "vitest";
import { endReason, initial, reduce, rejoinDelayMs, type Connection, type ConnectionEvent } from "./connection";

const run = (...events: ConnectionEvent[]): Connection => events.reduce(reduce, initial);

describe("connection", () => {
  it("does not announce the first connection", () => {
    expect(run({ type: "connected" })).toEqual({ phase: "connected", restored: false });
  });

  it("tells lost signalling from lost media, and announces the return", () => {
    expect(run({ type: "connected" }, { type: "signal-lost" })).toEqual({ phase: "resuming" });
    const lost = run({ type: "connected" }, { type: "signal-lost" }, { type: "media-lost" });
    expect(lost).toEqual({ phase: "reconnecting" });
    const back = reduce(lost, { type: "restored" });
    expect(back).toEqual({ phase: "connected", restored: true });
    expect(reduce(back, { type: "settled" })).toEqual({ phase: "connected", restored: false });
  });

  it("ignores late news while it joins afresh", () => {
    const rejoining = run({ type: "connected" }, { type: "media-lost" }, { type: "retry", attempt: 2 });
    expect(rejoining).toEqual({ phase: "rejoining", attempt: 2, first: false });
    expect(reduce(rejoining, { type: "signal-lost" })).toBe(rejoining);
    expect(reduce(rejoining, { type: "connected" })).toEqual({ phase: "connected", restored: true });
  });

  it("knows a first connection that takes several attempts", () => {
    const trying = run({ type: "retry", attempt: 0 }, { type: "retry", attempt: 1 });
    expect(trying).toEqual({ phase: "rejoining", attempt: 1, first: true });
    expect(reduce(trying, { type: "connected" })).toEqual({ phase: "connected", restored: false });
  });

  it("stays ended", () => {
    const ended = run({ type: "connected" }, { type: "ended", reason: "removed" });
    expect(reduce(ended, { type: "connected" })).toBe(ended);
  });

  it("joins again after accidents, not after decisions", () => {
    expect(endReason(undefined)).toBeNull();
    expect(endReason(DisconnectReason.SERVER_SHUTDOWN)).toBeNull();
    expect(endReason(DisconnectReason.STATE_MISMATCH)).toBeNull();
    expect(endReason(DisconnectReason.CONNECTION_TIMEOUT)).toBeNull();
    expect(endReason(DisconnectReason.PARTICIPANT_REMOVED)).toBe("removed");
    expect(endReason(DisconnectReason.DUPLICATE_IDENTITY)).toBe("elsewhere");
    expect(endReason(DisconnectReason.ROOM_DELETED)).toBe("room-ended");
  });

  it("waits a little longer each time, up to three seconds", () => {
    expect([0, 1, 2, 3, 20].map(rejoinDelayMs)).toEqual([400, 800, 1600, 3000, 3000]);
  });
});
