// Chat: live over the room's text streams (topic lk.chat, which every LiveKit client understands),
// and saved under the same id over REST so that late joiners read it too.
import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import type { TextStreamHandler } from "livekit-client";
import { ApiError } from "../../api/problem";
import * as roomsApi from "../../api/rooms";
import type { Message } from "../../api/types";
import { nameOf, useMeeting } from "../context";
import { emptyChat, reduce, type ChatMessage } from "./messages";

export const CHAT_TOPIC = "lk.chat";
export const MAX_LENGTH = 4000;
const SAVE_RETRY_MS = 2000;

export interface Chat {
  messages: readonly ChatMessage[];
  historyFailed: boolean;
  reloadHistory(): void;
  send(text: string): void;
  /** What is being written: it outlasts the panel. */
  draft: string;
  setDraft(text: string): void;
  retry(message: ChatMessage): void;
}

const fromServer = (message: Message) => ({
  id: message.id,
  sender: message.sender_identity,
  senderName: message.sender_name,
  text: message.text,
  at: Date.parse(message.created_at),
});

export function useChat(onArrival: (message: { senderName: string; text: string }) => void): Chat {
  const { room, roomId, api, identity, connection } = useMeeting();
  const [state, dispatch] = useReducer(reduce, emptyChat);
  const [historyFailed, setHistoryFailed] = useState(false);
  const [draft, setDraft] = useState("");
  const arrival = useRef(onArrival);
  const gone = useRef(new AbortController());
  /** On its way to the others already: only saving can still fail. */
  const delivered = useRef(new Set<string>());
  useEffect(() => {
    arrival.current = onArrival;
  });
  useEffect(() => {
    const abort = new AbortController();
    gone.current = abort;
    return () => abort.abort();
  }, []);

  useEffect(() => {
    const receive: TextStreamHandler = async (reader, { identity: sender }) => {
      const text = await reader.readAll().catch(() => null);
      if (text === null || !text.trim()) return;
      const senderName = nameOf(room.getParticipantByIdentity(sender) ?? { identity: sender });
      dispatch({ type: "live", message: { id: reader.info.id, sender, senderName, text, at: Date.now() } });
      arrival.current({ senderName, text });
    };
    room.registerTextStreamHandler(CHAT_TOPIC, receive);
    return () => room.unregisterTextStreamHandler(CHAT_TOPIC);
  }, [room]);

  const reloadHistory = useCallback(() => {
    if (!roomId) return;
    roomsApi.listMessages(api, roomId).then(
      ({ items }) => {
        setHistoryFailed(false);
        dispatch({ type: "history", messages: items.map(fromServer) });
      },
      () => setHistoryFailed(true),
    );
  }, [api, roomId]);

  // At the start, and again after every interruption that may have swallowed messages.
  const connected = connection.phase === "connected";
  useEffect(() => {
    if (connected) reloadHistory();
  }, [connected, reloadHistory]);

  /** Saving is idempotent by id, so it is repeated until the server has it or refuses it. */
  const save = useCallback(
    async (id: string, text: string) => {
      if (!roomId) return dispatch({ type: "delivery", id, delivery: "sent" });
      while (!gone.current.signal.aborted) {
        try {
          await roomsApi.saveMessage(api, roomId, { id, text });
          return dispatch({ type: "delivery", id, delivery: "sent" });
        } catch (error) {
          const again = error instanceof ApiError && error.transient;
          dispatch({ type: "delivery", id, delivery: again ? "unsaved" : "failed" });
          if (!again) return;
          await new Promise((resolve) => setTimeout(resolve, SAVE_RETRY_MS));
        }
      }
    },
    [api, roomId],
  );

  const dispatchMessage = useCallback(
    async (draftId: string, text: string) => {
      try {
        const { id } = await room.localParticipant.sendText(text, { topic: CHAT_TOPIC });
        delivered.current.add(id);
        dispatch({ type: "dispatched", draftId, id });
        await save(id, text);
      } catch {
        dispatch({ type: "delivery", id: draftId, delivery: "failed" });
      }
    },
    [room, save],
  );

  const send = (text: string) => {
    const draftId = crypto.randomUUID();
    const senderName = nameOf(room.localParticipant);
    dispatch({ type: "draft", message: { id: draftId, sender: identity, senderName, text, at: Date.now() } });
    void dispatchMessage(draftId, text);
  };

  const retry = (message: ChatMessage) => {
    dispatch({ type: "delivery", id: message.id, delivery: "sending" });
    void (delivered.current.has(message.id) ? save(message.id, message.text) : dispatchMessage(message.id, message.text));
  };

  return { messages: state.messages, historyFailed, reloadHistory, send, draft, setDraft, retry };
}
