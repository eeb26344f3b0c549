// The one session of this page, wired to the browser, and the API clients that go with it.
import { useSyncExternalStore } from "react";
import * as authApi from "../api/auth";
import { createApi, createPublicApi } from "../api/client";
import type { User } from "../api/types";
import { SessionStore, type SessionState } from "./session";

export const publicApi = createPublicApi();

export const session = new SessionStore({
  refresh: () => authApi.refresh(publicApi),
  logout: () => authApi.logout(publicApi),
  // Two tabs presenting the same refresh token would look like theft to the server.
  exclusively: async (work) => (navigator.locks ? await navigator.locks.request("aura.refresh", work) : work()),
  later: (ms, work) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
});

/** The API as the signed-in user. */
export const api = createApi({
  token: async () => session.accessToken,
  renew: session.renew,
});

// Signing out in one tab signs out the others.
if (typeof BroadcastChannel !== "undefined") {
  const channel = new BroadcastChannel("aura.session");
  session.onSignedOut = () => channel.postMessage("signed-out");
  channel.onmessage = (event) => {
    if (event.data === "signed-out") session.forget();
  };
}

export function useSession(): SessionState {
  return useSyncExternalStore(session.subscribe, () => session.state);
}

/** The signed-in user; only for pages behind the sign-in guard. */
export function useUser(): User {
  const state = useSession();
  if (state.phase !== "signed-in") throw new Error("used outside the sign-in guard");
  return state.user;
}
