// The push channel of the signed-in user, and hooks over it.
import { useEffect, useRef, useSyncExternalStore } from "react";
import { session } from "../auth/current";
import { Realtime, type Channel, type Push } from "./socket";

export const realtime = new Realtime({
  open: () => new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws`) as unknown as Channel,
  token: async (fresh) => (fresh ? session.refresh() : session.accessToken),
  later: (ms, work) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
});

function follow() {
  if (session.state.phase === "signed-in") realtime.start();
  if (session.state.phase === "signed-out") realtime.stop();
}

session.subscribe(follow);
addEventListener("online", () => realtime.hurry());

export function usePush<T extends keyof Push>(type: T, handler: (data: Push[T]) => void): void {
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  useEffect(() => realtime.on(type, (data) => latest.current(data)), [type]);
}

/** Runs when the channel comes (back) up: the moment to fetch what was missed. */
export function useCaughtUp(work: () => void): void {
  const latest = useRef(work);
  useEffect(() => {
    latest.current = work;
  });
  useEffect(() => realtime.onReady((ready) => ready && latest.current()), []);
}

export function useRealtimeReady(): boolean {
  return useSyncExternalStore(
    (listener) => realtime.onReady(listener),
    () => realtime.ready,
  );
}
