// Keeps one person connected to one room: joins, lets the client resume and reconnect, and when the
// client has given up fetches a new token and joins afresh until it works or makes no sense.
import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { ConnectionError, ConnectionErrorReason, Room, RoomEvent, Track, type Participant, type TrackPublication } from "livekit-client";
import type { AicSession } from "../aic/session";
import { ApiError } from "../api/problem";
import type { Join } from "../api/types";
import { endReason, initial, reduce, rejoinDelayMs, type Connection, type EndReason } from "./connection";
import { peerConnectionMode } from "./mode";
import { roomOptions, type JoinMedia } from "./options";
import { keepDevices, type Devices } from "./presence";

export interface MeetingConnection {
  room: Room;
  connection: Connection;
  /** What to publish, also after joining afresh. */
  wanted: Devices;
  /** What is about to go on by itself, after joining. */
  starting: Devices;
  leave(): void;
}

interface ConnectionProps {
  join: Join;
  rejoin(): Promise<Join>;
  media: JoinMedia;
  onDeviceError(error: unknown, kind: "mic" | "cam"): void;
}

class Ended extends Error {
  constructor(readonly reason: EndReason) {
    super(reason);
  }
}

export function useConnection({ join, rejoin, media, onDeviceError }: ConnectionProps): MeetingConnection {
  const [room] = useState(() => new Room(roomOptions(media.preferences, peerConnectionMode())));
  const [connection, dispatch] = useReducer(reduce, initial);
  const wanted = useRef({ mic: media.preferences.micOn, cam: media.preferences.camOn });
  const handed = useRef<{ audio: JoinMedia["audio"]; video: JoinMedia["video"] }>({ audio: media.audio, video: media.video });
  const [starting, setStarting] = useState<Devices>({ mic: false, cam: false });
  const latest = useRef({ rejoin, onDeviceError });
  useEffect(() => {
    latest.current = { rejoin, onDeviceError };
  });

  useEffect(() => {
    const abort = new AbortController();
    exposeForTests(room);

    const publish = () => {
      const local = room.localParticipant;
      const { audio, video } = handed.current;
      handed.current = { audio: null, video: null };
      const { mic: wantMic, cam: wantCam } = wanted.current;
      if (!wantMic) audio?.stop();
      if (!wantCam) video?.stop();
      const mic = wantMic ? (audio ? local.publishTrack(audio) : local.setMicrophoneEnabled(true)) : null;
      const cam = wantCam ? (video ? local.publishTrack(video) : local.setCameraEnabled(true)) : null;
      const follow = (kind: "mic" | "cam", start: Promise<unknown> | null) => {
        if (!start) return;
        setStarting((now) => ({ ...now, [kind]: true }));
        start
          .catch((error: unknown) => !abort.signal.aborted && latest.current.onDeviceError(error, kind))
          .finally(() => setStarting((now) => ({ ...now, [kind]: false })));
      };
      follow("mic", mic);
      follow("cam", cam);
    };

    const stay = async () => {
      let ticket: Join | null = join;
      let attempt = 0;
      let refusals = 0;
      while (!abort.signal.aborted) {
        try {
          ticket ??= await latest.current.rejoin();
          const closed = disconnected(room, abort.signal);
          await room.connect(ticket.url, ticket.token);
          if (abort.signal.aborted) return;
          dispatch({ type: "connected" });
          attempt = 0;
          refusals = 0;
          publish();
          const reason = endReason(await closed);
          // Said by `leave`, or by the page going away: a reload must find the meeting still running.
          if (reason === "left") return;
          if (reason) throw new Ended(reason);
        } catch (error) {
          if (abort.signal.aborted) return;
          if (notAllowed(error)) refusals += 1;
          const reason = final(error, refusals);
          if (reason) return dispatch({ type: "ended", reason });
        }
        if (abort.signal.aborted) return;
        ticket = null;
        dispatch({ type: "retry", attempt });
        await pause(rejoinDelayMs(attempt), abort.signal);
        attempt += 1;
      }
    };

    const signalLost = () => dispatch({ type: "signal-lost" });
    const mediaLost = () => dispatch({ type: "media-lost" });
    const restored = () => dispatch({ type: "restored" });
    // Being muted by the host is a wish that outlives a reconnection.
    const muted = (publication: TrackPublication, participant: Participant) => {
      if (participant.isLocal && publication.source === Track.Source.Microphone) wanted.current.mic = false;
    };
    room
      .on(RoomEvent.SignalReconnecting, signalLost)
      .on(RoomEvent.Reconnecting, mediaLost)
      .on(RoomEvent.Reconnected, restored)
      .on(RoomEvent.TrackMuted, muted);
    const pageGone = () => {
      keepDevices(wanted.current);
      void room.disconnect();
    };
    addEventListener("pagehide", pageGone);
    void stay();

    return () => {
      abort.abort();
      removeEventListener("pagehide", pageGone);
      room
        .off(RoomEvent.SignalReconnecting, signalLost)
        .off(RoomEvent.Reconnecting, mediaLost)
        .off(RoomEvent.Reconnected, restored)
        .off(RoomEvent.TrackMuted, muted);
      handed.current.audio?.stop();
      handed.current.video?.stop();
      void room.disconnect();
    };
  }, [room, join]);

  useEffect(() => {
    if (connection.phase !== "connected" || !connection.restored) return;
    const timer = setTimeout(() => dispatch({ type: "settled" }), 3500);
    return () => clearTimeout(timer);
  }, [connection]);

  const leave = useCallback(() => {
    dispatch({ type: "ended", reason: "left" });
    void room.disconnect();
  }, [room]);

  return { room, connection, wanted: wanted.current, starting, leave };
}

function disconnected(room: Room, signal: AbortSignal) {
  return new Promise<Parameters<typeof endReason>[0]>((resolve) => {
    const done = (reason?: Parameters<typeof endReason>[0]) => {
      room.off(RoomEvent.Disconnected, done);
      resolve(reason);
    };
    room.on(RoomEvent.Disconnected, done);
    signal.addEventListener("abort", () => done(), { once: true });
  });
}

function notAllowed(error: unknown): boolean {
  return error instanceof ConnectionError && error.reason === ConnectionErrorReason.NotAllowed;
}

/** The end this error means, or null when it is worth trying again. */
function final(error: unknown, refusals: number): EndReason | null {
  if (error instanceof Ended) return error.reason;
  if (error instanceof ApiError) return error.transient ? null : error.status === 403 ? "removed" : "gone";
  if (error instanceof ConnectionError) {
    if (error.reason === ConnectionErrorReason.LeaveRequest) return endReason(error.context as never);
    if (notAllowed(error) && error.message.includes("removed from the room")) return "removed";
    // A refused token may only be stale: one fresh token is tried before giving up.
    if (notAllowed(error)) return refusals > 1 ? "refused" : null;
    return null;
  }
  return null;
}

/** Waits, but not past the device coming back online. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
    signal.addEventListener("abort", done, { once: true });
  });
}

declare global {
  interface Window {
    __aura?: { room: Room; aic?: AicSession };
  }
}

function exposeForTests(room: Room): void {
  if (localStorage.getItem("aura.debug") === "1") window.__aura = { ...window.__aura, room };
}
