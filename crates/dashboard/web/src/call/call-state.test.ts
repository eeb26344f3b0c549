import { describe, expect, it } from "vitest";
import type { Call, CallStatus } from "../api/types";
import { newer, reduce, ringsFor, start, upsert, view } from "./call-state";

const ada = { id: "ada", display_name: "Ada", aura_id: "@ada.aura" };
const ben = { id: "ben", display_name: "Ben", aura_id: "@ben.aura" };

function call(status: CallStatus, change: Partial<Call> = {}): Call {
  return {
    id: "c1",
    status,
    media: "video",
    caller: ada,
    callee: ben,
    created_at: "2026-11-20T12:00:00Z",
    ringing_at: null,
    answered_at: null,
    ended_at: null,
    duration_seconds: null,
    end_reason: null,
    ...change,
  };
}

describe("call", () => {
  it("goes from calling to ringing to in-call to ended for the caller", () => {
    let state = start(call("initiated"), true);
    expect(view(state, "ada")).toEqual({ phase: "calling" });
    state = reduce(state, { type: "report", call: call("ringing") });
    expect(view(state, "ada")).toEqual({ phase: "ringing" });
    state = reduce(state, { type: "report", call: call("active", { answered_at: "2026-11-20T12:00:09Z" }) });
    expect(view(state, "ada")).toEqual({ phase: "connecting" });
    state = reduce(state, { type: "together", together: true });
    expect(view(state, "ada")).toEqual({ phase: "in-call", since: "2026-11-20T12:00:09Z" });
    state = reduce(state, { type: "report", call: call("completed", { duration_seconds: 42 }) });
    expect(view(state, "ada")).toEqual({ phase: "ended", outcome: "ended", seconds: 42 });
  });

  it("is incoming for the callee until they accept", () => {
    let state = start(call("ringing"), false);
    expect(view(state, "ben")).toEqual({ phase: "incoming" });
    state = reduce(state, { type: "joining" });
    expect(view(state, "ben")).toEqual({ phase: "connecting" });
  });

  it("never goes backwards", () => {
    const active = call("active");
    expect(newer(active, call("ringing"))).toBe(active);
    const over = call("completed");
    expect(newer(over, call("active"))).toBe(over);
    const state = start(active, true);
    expect(reduce(state, { type: "report", call: call("ringing") })).toBe(state);
  });

  it("is not touched by another call", () => {
    const state = reduce(start(call("active"), true), { type: "together", together: true });
    const another = (status: CallStatus) => call(status, { id: "c2", caller: { ...ada, id: "cem" } });
    for (const status of ["ringing", "missed"] as const) {
      expect(reduce(state, { type: "report", call: another(status) })).toBe(state);
    }
    const over = start(call("declined"), true);
    expect(reduce(over, { type: "report", call: call("initiated", { id: "c3" }) })).toBe(over);
  });

  it("ends at once for the one who hangs up", () => {
    const ringing = reduce(start(call("ringing"), true), { type: "left" });
    expect(view(ringing, "ada")).toEqual({ phase: "ended", outcome: "cancelled", seconds: null });
    const active = reduce(start(call("active"), true), { type: "left" });
    expect(view(active, "ben")).toEqual({ phase: "ended", outcome: "ended", seconds: null });
  });

  it("tells the two sides of an unanswered call apart", () => {
    const missed = start(call("missed", { end_reason: "timeout" }), true);
    expect(view(missed, "ada")).toMatchObject({ outcome: "no-answer" });
    expect(view(missed, "ben")).toMatchObject({ outcome: "missed" });
    expect(view(start(call("declined"), true), "ada")).toMatchObject({ outcome: "declined" });
  });

  it("rings only for the callee", () => {
    expect(ringsFor(call("ringing"), "ben")).toBe(true);
    expect(ringsFor(call("ringing"), "ada")).toBe(false);
    expect(ringsFor(call("initiated"), "ben")).toBe(false);
  });

  it("keeps the list newest first and free of doubles", () => {
    const older = call("completed", { id: "c0", created_at: "2026-11-19T12:00:00Z" });
    const list = upsert([older], call("ringing"));
    expect(list.map(({ id }) => id)).toEqual(["c1", "c0"]);
    const updated = upsert(list, call("active"));
    expect(updated).toHaveLength(2);
    expect(updated[0]?.status).toBe("active");
    expect(upsert(updated, call("ringing"))[0]?.status).toBe("active");
  });
});
