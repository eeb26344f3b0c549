// Who is signed in. The access token lives only in memory; the refresh token is an HttpOnly cookie
// this code never sees. A refresh token works once, so refreshes are single-flight within the tab
// and take a lock shared by all tabs.
import { ApiError } from "../api/problem";
import type { Session, User } from "../api/types";

export type SessionState =
  | { phase: "starting" }
  | { phase: "unreachable" }
  | { phase: "signed-out" }
  | { phase: "signed-in"; user: User };

export interface SessionDeps {
  refresh(): Promise<Session>;
  logout(): Promise<void>;
  /** Runs `work` while no other tab refreshes. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  /** Runs `work` after `ms`; returns how to cancel it. */
  later(ms: number, work: () => void): () => void;
}

/** Refresh this long before the token ends. */
const MARGIN_MS = 60_000;
const RETRY_MS = 5_000;

export class SessionStore {
  #state: SessionState = { phase: "starting" };
  #token: string | null = null;
  #refreshing: Promise<string | null> | null = null;
  #cancelTimer: () => void = () => {};
  readonly #listeners = new Set<() => void>();
  /** Told when this tab signs in or out itself, not when it follows another tab. */
  onSignedOut: () => void = () => {};

  constructor(private readonly deps: SessionDeps) {}

  get state(): SessionState {
    return this.#state;
  }

  get accessToken(): string | null {
    return this.#token;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Finds out, once per page load, whether the cookie still stands for somebody. */
  async start(): Promise<void> {
    await this.refresh();
  }

  signIn(session: Session): void {
    this.#accept(session);
  }

  async signOut(): Promise<void> {
    try {
      await this.deps.logout();
    } finally {
      this.forget();
      this.onSignedOut();
    }
  }

  /** Drops the session here without telling the server. */
  forget(): void {
    this.#cancelTimer();
    this.#token = null;
    this.#set({ phase: "signed-out" });
  }

  updateUser(user: User): void {
    if (this.#state.phase === "signed-in") this.#set({ phase: "signed-in", user });
  }

  /** A new access token, or null when there is none to be had. All callers share one request. */
  refresh(): Promise<string | null> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** Refreshes unless that has already happened since `rejected` was handed out. */
  renew = async (rejected: string): Promise<string | null> =>
    this.#token !== null && this.#token !== rejected ? this.#token : this.refresh();

  async #refresh(): Promise<string | null> {
    try {
      const session = await this.deps.exclusively(() => this.deps.refresh());
      this.#accept(session);
      return session.access_token;
    } catch (error) {
      if (error instanceof ApiError && !error.transient) {
        this.forget();
        return null;
      }
      // The server is away: keep what we have, it may well still be valid, and try again.
      if (this.#state.phase === "starting") this.#set({ phase: "unreachable" });
      this.#schedule(RETRY_MS);
      return null;
    }
  }

  #accept(session: Session): void {
    this.#token = session.access_token;
    this.#schedule(Math.max(session.expires_in * 1000 - MARGIN_MS, MARGIN_MS / 2));
    this.#set({ phase: "signed-in", user: session.user });
  }

  #schedule(ms: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.deps.later(ms, () => void this.refresh());
  }

  #set(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}
