import { describe, expect, it, vi } from "vitest";
import { Realtime, type Channel } from "./socket";

class FakeChannel implements Channel {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  sent: unknown[] = [];
  closed = false;
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.closed = true;
  }
  push(message: unknown) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

function setup() {
  const channels: FakeChannel[] = [];
  const tokens: boolean[] = [];
  let timers: { ms: number; work: () => void }[] = [];
  const realtime = new Realtime({
    open: () => {
      const channel = new FakeChannel();
      channels.push(channel);
      return channel;
    },
    token: async (fresh) => {
      tokens.push(fresh);
      return "token";
    },
    later: (ms, work) => {
      const timer = { ms, work };
      timers.push(timer);
      return () => (timers = timers.filter((other) => other !== timer));
    },
  });
  const connected = async (count: number) => {
    await vi.waitFor(() => expect(channels).toHaveLength(count));
    const channel = channels[count - 1]!;
    channel.onopen?.();
    return channel;
  };
  const tick = () => {
    const [timer] = timers;
    timers = timers.slice(1);
    timer?.work();
    return timer?.ms;
  };
  return { realtime, channels, tokens, connected, tick };
}

describe("realtime", () => {
  it("authenticates first and delivers pushes after that", async () => {
    const { realtime, connected } = setup();
    const updates: unknown[] = [];
    realtime.on("room_updated", (data) => updates.push(data));
    realtime.start();
    const channel = await connected(1);
    expect(channel.sent).toEqual([{ type: "auth", data: { token: "token" } }]);
    channel.push({ type: "ready" });
    expect(realtime.ready).toBe(true);
    channel.push({ type: "room_updated", data: { room_id: "r", participants: 2 }, timestamp: 1 });
    channel.onmessage?.({ data: "not json" });
    channel.push({ type: "something_new" });
    expect(updates).toEqual([{ room_id: "r", participants: 2 }]);
  });

  it("comes back with growing delays and asks for a fresh token after a refusal", async () => {
    const { realtime, connected, tokens, tick } = setup();
    realtime.start();
    (await connected(1)).onclose?.({ code: 4401 });
    expect(tick()).toBe(250);
    (await connected(2)).onclose?.({ code: 4401 });
    expect(tick()).toBe(1000);
    const third = await connected(3);
    third.push({ type: "ready" });
    expect(tokens).toEqual([false, true, true]);
    third.onclose?.({ code: 1006 });
    expect(realtime.ready).toBe(false);
    expect(tick()).toBe(250);
  });

  it("gives up on a silent connection", async () => {
    const { realtime, connected, tick } = setup();
    realtime.start();
    const channel = await connected(1);
    channel.push({ type: "ready" });
    tick();
    expect(channel.sent).toContainEqual({ type: "ping" });
    tick();
    expect(channel.closed).toBe(true);
    expect(realtime.ready).toBe(false);
  });

  it("stays away once stopped", async () => {
    const { realtime, channels, connected, tick } = setup();
    realtime.start();
    const channel = await connected(1);
    realtime.stop();
    expect(channel.closed).toBe(true);
    channel.onclose?.({ code: 1000 });
    expect(tick()).toBeUndefined();
    expect(channels).toHaveLength(1);
  });
});
