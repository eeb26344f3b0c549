// The chat of one room as a list. Messages arrive twice or more (live, from history, as the echo of
// one's own) and are one entry each, known by id. Pure.

export type Delivery = "sending" | "sent" | "unsaved" | "failed";

export interface ChatMessage {
  id: string;
  sender: string;
  senderName: string;
  text: string;
  /** Milliseconds; the server's time once it is known. */
  at: number;
  delivery: Delivery;
  /** Arrival order, to keep equal times stable. */
  order: number;
}

export interface ChatState {
  messages: readonly ChatMessage[];
  next: number;
}

export const emptyChat: ChatState = { messages: [], next: 0 };

type Incoming = Pick<ChatMessage, "id" | "sender" | "senderName" | "text" | "at">;

export type ChatEvent =
  /** From another client, over the room's data channel. */
  | { type: "live"; message: Incoming }
  /** From the server. */
  | { type: "history"; messages: readonly Incoming[] }
  /** Written here; `message.id` is provisional until it is on its way. */
  | { type: "draft"; message: Incoming }
  | { type: "dispatched"; draftId: string; id: string }
  | { type: "delivery"; id: string; delivery: Delivery };

function sorted(messages: ChatMessage[]): ChatMessage[] {
  return messages.sort((a, b) => a.at - b.at || a.order - b.order);
}

/** Later than everything shown, so that a slow clock cannot bury a new message. */
function newest(state: ChatState, at: number): number {
  const last = state.messages[state.messages.length - 1];
  return last ? Math.max(at, last.at) : at;
}

function append(state: ChatState, message: Incoming, delivery: Delivery): ChatState {
  const entry = { ...message, at: newest(state, message.at), delivery, order: state.next };
  return { messages: [...state.messages, entry], next: state.next + 1 };
}

export function reduce(state: ChatState, event: ChatEvent): ChatState {
  switch (event.type) {
    case "live":
      if (state.messages.some(({ id }) => id === event.message.id)) return state;
      return append(state, event.message, "sent");
    case "draft":
      return append(state, event.message, "sending");
    case "history": {
      const known = new Map(state.messages.map((message) => [message.id, message]));
      let next = state.next;
      for (const message of event.messages) {
        const order = known.get(message.id)?.order ?? next++;
        known.set(message.id, { ...message, delivery: "sent", order });
      }
      return { messages: sorted([...known.values()]), next };
    }
    case "dispatched": {
      // History may have brought the message back before this client learned its id.
      const already = state.messages.some(({ id }) => id === event.id);
      const messages = already
        ? state.messages.filter(({ id }) => id !== event.draftId)
        : state.messages.map((message) => (message.id === event.draftId ? { ...message, id: event.id } : message));
      return { ...state, messages };
    }
    case "delivery":
      return {
        ...state,
        messages: state.messages.map((message) =>
          message.id === event.id ? { ...message, delivery: event.delivery } : message,
        ),
      };
  }
}

const GROUP_MS = 3 * 60_000;

/** True when a message continues the one before it, so that name and time need not be repeated. */
export function continues(previous: ChatMessage | undefined, message: ChatMessage): boolean {
  return previous !== undefined && previous.sender === message.sender && message.at - previous.at < GROUP_MS;
}
