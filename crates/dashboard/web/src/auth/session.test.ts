import { describe, expect, it, vi } from "vitest";
import { ApiError, unreachable } from "../api/problem";
import { authorized } from "../api/client";
import type { Session } from "../api/types";
import { SessionStore, type SessionDeps } from "./session";

const user = {
  id: "u1",
  email: "ada@example.org",
  display_name: "Ada",
  aura_id: "@ada.aura",
  created_at: "2026-01-01T00:00:00Z",
};

const grant = (access_token: string): Session => ({
  access_token,
  token_type: "Bearer",
  expires_in: 900,
  refresh_token: null,
  user,
});

function store(refresh: SessionDeps["refresh"]) {
  const timers: { ms: number; work: () => void }[] = [];
  const session = new SessionStore({
    refresh,
    logout: async () => {},
    exclusively: (work) => work(),
    later: (ms, work) => {
      const timer = { ms, work };
      timers.push(timer);
      return () => timers.splice(timers.indexOf(timer), 1);
    },
  });
  return { session, timers };
}

describe("session", () => {
  it("refreshes once for any number of callers", async () => {
    let answer: (session: Session) => void = () => {};
    const refresh = vi.fn(() => new Promise<Session>((resolve) => (answer = resolve)));
    const { session } = store(refresh);
    const waiting = [session.refresh(), session.refresh(), session.renew("old")];
    answer(grant("new"));
    expect(await Promise.all(waiting)).toEqual(["new", "new", "new"]);
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  it("does not refresh again for a token that was already replaced", async () => {
    const refresh = vi.fn(async () => grant("second"));
    const { session } = store(refresh);
    session.signIn(grant("first"));
    await session.refresh();
    expect(await session.renew("first")).toBe("second");
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  it("signs out when the cookie is refused", async () => {
    const { session, timers } = store(async () => {
      throw new ApiError(401, "unauthenticated");
    });
    await session.start();
    expect(session.state).toEqual({ phase: "signed-out" });
    expect(timers).toHaveLength(0);
  });

  it("keeps the user while the server is away, and tries again", async () => {
    const refresh = vi.fn(async (): Promise<Session> => {
      throw unreachable();
    });
    const { session, timers } = store(refresh);
    session.signIn(grant("first"));
    expect(await session.refresh()).toBeNull();
    expect(session.state.phase).toBe("signed-in");
    expect(session.accessToken).toBe("first");
    expect(timers).toHaveLength(1);
  });

  it("says so when the server is away at the start", async () => {
    const { session } = store(async () => {
      throw unreachable();
    });
    await session.start();
    expect(session.state).toEqual({ phase: "unreachable" });
  });

  it("renews before the token ends", async () => {
    const { session, timers } = store(async () => grant("next"));
    session.signIn(grant("first"));
    expect(timers[0]?.ms).toBe(840_000);
    timers[0]?.work();
    await vi.waitFor(() => expect(session.accessToken).toBe("next"));
  });
});

describe("authorized fetch", () => {
  const request = () => new Request("http://test.invalid/api/v1/rooms", { method: "POST", body: "{}" });

  it("retries once with the renewed token and the same body", async () => {
    const seen: string[] = [];
    const send = authorized(
      { token: async () => "old", renew: async () => "new" },
      async (sent) => {
        seen.push(`${sent.headers.get("authorization")} ${await sent.text()}`);
        return new Response(null, { status: seen.length === 1 ? 401 : 204 });
      },
    );
    expect((await send(request())).status).toBe(204);
    expect(seen).toEqual(["Bearer old {}", "Bearer new {}"]);
  });

  it("gives up when there is nothing new to try", async () => {
    const send = vi.fn(async () => new Response(null, { status: 401 }));
    const answer = await authorized({ token: async () => "old", renew: async () => null }, send)(request());
    expect(answer.status).toBe(401);
    expect(send).toHaveBeenCalledTimes(1);
  });
});
