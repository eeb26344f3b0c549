// AIC for the running meeting, and the switch that asks for it.
import { createContext, useContext, useEffect, useState, useSyncExternalStore } from "react";
import type { Room } from "livekit-client";
import { getConfig } from "../api/aic";
import type { Api } from "../api/client";
import { DEFAULTS } from "./messages";
import { reportEvery } from "./report";
import { AicSession, type View } from "./session";

const KEY = "aura.low-bandwidth";

export interface Aic extends View {
  setWant(want: boolean): void;
}

const AicContext = createContext<Aic | null>(null);

export const AicProvider = AicContext.Provider;

export function useAic(): Aic {
  const aic = useContext(AicContext);
  if (!aic) throw new Error("used outside a meeting");
  return aic;
}

/** Runs AIC in `room` as long as the caller is mounted. `member`: with an account, whose settings count. */
export function useAicSession(room: Room, api: Api, member: boolean, place: string): Aic {
  const [session] = useState(() => new AicSession(room));
  const view = useSyncExternalStore(session.watch, session.snapshot);

  useEffect(() => {
    session.start();
    session.setWant(localStorage.getItem(KEY) === "1");
    if (window.__aura) window.__aura.aic = session;
    return () => session.stop();
  }, [session]);

  useEffect(() => {
    if (!member) return;
    getConfig(api)
      .then(({ enabled, enable_fallback, mode, min_quality_score, max_latency_ms }) =>
        // Without fallback no quality is too poor; a device that is too slow still has to give up.
        session.configure(enabled, { ...DEFAULTS, mode, minQuality: enable_fallback ? min_quality_score : 0, maxLatencyMs: max_latency_ms }),
      )
      // Without the service that keeps them, the defaults are as good.
      .catch(() => {});
    return reportEvery(session, api, place);
  }, [session, api, member, place]);

  const setWant = (want: boolean) => {
    localStorage.setItem(KEY, want ? "1" : "0");
    session.setWant(want);
    session.host.resume();
  };
  return { ...view, setWant };
}
