import { describe, expect, it } from "vitest";
import { continues, emptyChat, reduce, type ChatEvent } from "./messages";

const message = (id: string, at: number, sender = "ada") => ({ id, sender, senderName: sender, text: `text ${id}`, at });
const run = (...events: ChatEvent[]) => events.reduce(reduce, emptyChat);
const ids = (state: { messages: readonly { id: string }[] }) => state.messages.map(({ id }) => id);

describe("chat", () => {
  it("shows a message once, however often it arrives", () => {
    const state = run(
      { type: "live", message: message("a", 10) },
      { type: "live", message: message("a", 10) },
      { type: "history", messages: [message("a", 9)] },
    );
    expect(ids(state)).toEqual(["a"]);
    expect(state.messages[0]?.at).toBe(9);
  });

  it("puts history that comes late before what was already live", () => {
    const state = run(
      { type: "live", message: message("live", 100) },
      { type: "history", messages: [message("old-1", 10), message("old-2", 20)] },
    );
    expect(ids(state)).toEqual(["old-1", "old-2", "live"]);
  });

  it("fills a gap after a reconnection in the right place", () => {
    const state = run(
      { type: "history", messages: [message("a", 10)] },
      { type: "live", message: message("c", 30) },
      { type: "history", messages: [message("a", 10), message("b", 20), message("c", 30)] },
    );
    expect(ids(state)).toEqual(["a", "b", "c"]);
  });

  it("keeps a new message last even when the sender's clock is behind", () => {
    const state = run({ type: "history", messages: [message("a", 1000)] }, { type: "live", message: message("b", 5) });
    expect(ids(state)).toEqual(["a", "b"]);
  });

  it("follows its own message from draft to sent", () => {
    let state = run({ type: "draft", message: message("draft", 10) });
    expect(state.messages[0]?.delivery).toBe("sending");
    state = reduce(state, { type: "dispatched", draftId: "draft", id: "real" });
    state = reduce(state, { type: "delivery", id: "real", delivery: "sent" });
    expect(state.messages).toMatchObject([{ id: "real", delivery: "sent" }]);
  });

  it("does not double its own message when history overtakes the dispatch", () => {
    const state = run(
      { type: "draft", message: message("draft", 10) },
      { type: "history", messages: [message("real", 10)] },
      { type: "dispatched", draftId: "draft", id: "real" },
    );
    expect(ids(state)).toEqual(["real"]);
  });

  it("marks a failure and leaves the others alone", () => {
    const state = run(
      { type: "draft", message: message("x", 1) },
      { type: "live", message: message("y", 2, "ben") },
      { type: "delivery", id: "x", delivery: "failed" },
    );
    expect(state.messages.map(({ delivery }) => delivery)).toEqual(["failed", "sent"]);
  });

  it("groups what one person writes in a row", () => {
    const state = run(
      { type: "live", message: message("a", 1) },
      { type: "live", message: message("b", 2) },
      { type: "live", message: message("c", 3, "ben") },
      { type: "live", message: message("d", 3 + 4 * 60_000, "ben") },
    );
    const grouped = state.messages.map((entry, index) => continues(state.messages[index - 1], entry));
    expect(grouped).toEqual([false, true, false, false]);
  });
});
