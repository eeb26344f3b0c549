// What a call looks like to one of its two people. Pure. The server decides the status from what
// the media server saw; this only orders late and repeated news, and adds what happens locally.
import type { Call, CallStatus } from "../api/types";

const RANK: Record<CallStatus, number> = {
  initiated: 0,
  ringing: 1,
  active: 2,
  completed: 3,
  declined: 3,
  missed: 3,
  failed: 3,
};

export const isOver = (call: Call): boolean => RANK[call.status] === 3;

/** The newer of two reports of one call; a call never goes backwards. */
export function newer(known: Call | undefined, report: Call): Call {
  if (!known) return report;
  return RANK[report.status] >= RANK[known.status] ? report : known;
}

export type Outcome = "ended" | "declined" | "no-answer" | "missed" | "cancelled" | "failed";

export type CallView =
  | { phase: "incoming" }
  | { phase: "calling" }
  | { phase: "ringing" }
  | { phase: "connecting" }
  | { phase: "in-call"; since: string | null }
  | { phase: "ended"; outcome: Outcome; seconds: number | null };

export interface CallState {
  call: Call;
  /** This device has asked to take part (as caller, or by accepting). */
  joining: boolean;
  /** The other person's media is here. */
  together: boolean;
  /** This device hung up and need not wait for the server to agree. */
  left: boolean;
}

export type CallEvent =
  | { type: "report"; call: Call }
  | { type: "joining" }
  | { type: "together"; together: boolean }
  | { type: "left" };

export function start(call: Call, joining: boolean): CallState {
  return { call, joining, together: false, left: false };
}

export function reduce(state: CallState, event: CallEvent): CallState {
  switch (event.type) {
    case "report": {
      // Others may call meanwhile, and this one may be placed again: that is news of other calls.
      if (event.call.id !== state.call.id) return state;
      const call = newer(state.call, event.call);
      return call === state.call ? state : { ...state, call };
    }
    case "joining":
      return { ...state, joining: true };
    case "together":
      return state.together === event.together ? state : { ...state, together: event.together };
    case "left":
      return { ...state, left: true };
  }
}

function outcome(call: Call, mine: "caller" | "callee"): Outcome {
  switch (call.status) {
    case "declined":
      return "declined";
    case "failed":
      return "failed";
    case "missed":
      if (mine === "callee") return "missed";
      return call.end_reason === "cancelled" ? "cancelled" : "no-answer";
    default:
      return "ended";
  }
}

export function view(state: CallState, me: string): CallView {
  const { call } = state;
  const mine = call.caller.id === me ? "caller" : "callee";
  if (isOver(call)) return { phase: "ended", outcome: outcome(call, mine), seconds: call.duration_seconds };
  if (state.left) {
    const unanswered = call.status !== "active" && mine === "caller";
    return { phase: "ended", outcome: unanswered ? "cancelled" : "ended", seconds: null };
  }
  if (state.together || (call.status === "active" && state.joining)) {
    return state.together ? { phase: "in-call", since: call.answered_at } : { phase: "connecting" };
  }
  if (mine === "callee") return state.joining ? { phase: "connecting" } : { phase: "incoming" };
  return call.status === "initiated" ? { phase: "calling" } : { phase: "ringing" };
}

export const other = (call: Call, me: string) => (call.caller.id === me ? call.callee : call.caller);

/** Ringing for `me` right now. */
export const ringsFor = (call: Call, me: string): boolean => call.status === "ringing" && call.callee.id === me;

/** Adds or replaces a call in a list ordered newest first. */
export function upsert(calls: readonly Call[], report: Call): Call[] {
  const known = calls.find((call) => call.id === report.id);
  const merged = newer(known, report);
  if (known) return calls.map((call) => (call.id === report.id ? merged : call));
  return [merged, ...calls].sort((a, b) => b.created_at.localeCompare(a.created_at));
}
