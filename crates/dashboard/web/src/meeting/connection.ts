// What the connection is doing, as people are told it. Pure.
import { DisconnectReason } from "livekit-client";

export type EndReason = "left" | "elsewhere" | "removed" | "room-ended" | "full" | "refused" | "gone" | "failed";

export type Connection =
  | { phase: "connecting" }
  | { phase: "connected"; restored: boolean }
  /** Only the signalling is gone: people still hear each other. */
  | { phase: "resuming" }
  /** Media is gone and the client is building a new connection. */
  | { phase: "reconnecting" }
  /** The client gave up or the server closed the door: joining afresh. */
  | { phase: "rejoining"; attempt: number; first: boolean }
  | { phase: "ended"; reason: EndReason };

export type ConnectionEvent =
  | { type: "connected" }
  | { type: "signal-lost" }
  | { type: "media-lost" }
  | { type: "restored" }
  | { type: "retry"; attempt: number }
  | { type: "ended"; reason: EndReason }
  | { type: "settled" };

export const initial: Connection = { phase: "connecting" };

export function reduce(state: Connection, event: ConnectionEvent): Connection {
  if (state.phase === "ended") return state;
  switch (event.type) {
    case "connected":
    case "restored":
      // A first connection needs no announcement; a regained one does.
      return { phase: "connected", restored: !beforeFirst(state) && state.phase !== "connected" };
    case "signal-lost":
      return state.phase === "connected" ? { phase: "resuming" } : state;
    case "media-lost":
      return state.phase === "connected" || state.phase === "resuming" ? { phase: "reconnecting" } : state;
    case "retry":
      return { phase: "rejoining", attempt: event.attempt, first: beforeFirst(state) };
    case "ended":
      return { phase: "ended", reason: event.reason };
    case "settled":
      return state.phase === "connected" && state.restored ? { phase: "connected", restored: false } : state;
  }
}

/** True until the connection has stood once. */
function beforeFirst(state: Connection): boolean {
  return state.phase === "connecting" || (state.phase === "rejoining" && state.first);
}

/** Why a meeting is over for this client; null when joining again is the right answer. */
export function endReason(reason: DisconnectReason | undefined): EndReason | null {
  switch (reason) {
    case DisconnectReason.CLIENT_INITIATED:
      return "left";
    case DisconnectReason.DUPLICATE_IDENTITY:
      return "elsewhere";
    case DisconnectReason.PARTICIPANT_REMOVED:
    case DisconnectReason.USER_REJECTED:
      return "removed";
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return "room-ended";
    case DisconnectReason.JOIN_FAILURE:
      return "full";
    default:
      return null;
  }
}

/** Wait before joining afresh: soon at first, never longer than three seconds. */
export function rejoinDelayMs(attempt: number): number {
  return Math.min(3000, 400 * 2 ** Math.min(attempt, 6));
}
