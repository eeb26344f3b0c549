// The push channel: authenticates first, reconnects for ever with a growing delay, and tells
// listeners whenever it becomes ready so that they can fetch what they missed.
import type { Call } from "../api/types";

export interface Push {
  call_updated: Call;
  room_updated: { room_id: string; participants: number };
}

type PushType = keyof Push;
type Handler<T extends PushType> = (data: Push[T]) => void;

export interface Channel {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  send(text: string): void;
  close(): void;
}

export interface RealtimeDeps {
  open(): Channel;
  /** A currently valid token; `fresh` asks for a new one. */
  token(fresh: boolean): Promise<string | null>;
  later(ms: number, work: () => void): () => void;
}

const PING_MS = 20_000;
const SILENCE_MS = 15_000;
const DELAYS_MS = [250, 1_000, 2_000, 4_000, 8_000, 15_000];

export class Realtime {
  #channel: Channel | null = null;
  #ready = false;
  #running = false;
  #attempt = 0;
  #refused = false;
  #cancelTimer: () => void = () => {};
  readonly #handlers = new Map<PushType, Set<Handler<never>>>();
  readonly #readyListeners = new Set<(ready: boolean) => void>();

  constructor(private readonly deps: RealtimeDeps) {}

  get ready(): boolean {
    return this.#ready;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#connect();
  }

  stop(): void {
    this.#running = false;
    this.#cancelTimer();
    this.#drop();
  }

  /** Reconnects at once instead of waiting out the delay. */
  hurry(): void {
    if (!this.#running || this.#channel) return;
    this.#cancelTimer();
    void this.#connect();
  }

  on<T extends PushType>(type: T, handler: Handler<T>): () => void {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers);
    handlers.add(handler as Handler<never>);
    return () => handlers.delete(handler as Handler<never>);
  }

  onReady(listener: (ready: boolean) => void): () => void {
    this.#readyListeners.add(listener);
    return () => this.#readyListeners.delete(listener);
  }

  async #connect(): Promise<void> {
    const token = await this.deps.token(this.#refused);
    if (!this.#running || this.#channel) return;
    if (!token) return this.#retry();
    const channel = this.deps.open();
    this.#channel = channel;
    channel.onopen = () => channel.send(JSON.stringify({ type: "auth", data: { token } }));
    channel.onmessage = (event) => this.#receive(channel, event.data);
    channel.onclose = () => {
      if (this.#channel !== channel) return;
      // Closed before it was ready: the token may have been the reason.
      this.#refused = !this.#ready;
      this.#drop();
      if (this.#running) this.#retry();
    };
  }

  #receive(channel: Channel, text: unknown): void {
    if (this.#channel !== channel || typeof text !== "string") return;
    let message: { type?: string; data?: unknown };
    try {
      message = JSON.parse(text) as typeof message;
    } catch {
      return;
    }
    if (message.type === "ready") {
      this.#attempt = 0;
      this.#refused = false;
      this.#setReady(true);
      return this.#pingLater(channel);
    }
    if (message.type === "pong") return this.#pingLater(channel);
    for (const handler of this.#handlers.get(message.type as PushType) ?? []) handler(message.data as never);
  }

  #pingLater(channel: Channel): void {
    this.#cancelTimer();
    this.#cancelTimer = this.deps.later(PING_MS, () => {
      channel.send(JSON.stringify({ type: "ping" }));
      this.#cancelTimer = this.deps.later(SILENCE_MS, () => {
        this.#drop();
        this.#retry();
      });
    });
  }

  #retry(): void {
    const delay = DELAYS_MS[Math.min(this.#attempt, DELAYS_MS.length - 1)] ?? 0;
    this.#attempt += 1;
    this.#cancelTimer();
    this.#cancelTimer = this.deps.later(delay, () => void this.#connect());
  }

  #drop(): void {
    const channel = this.#channel;
    this.#channel = null;
    this.#cancelTimer();
    channel?.close();
    this.#setReady(false);
  }

  #setReady(ready: boolean): void {
    if (this.#ready === ready) return;
    this.#ready = ready;
    for (const listener of this.#readyListeners) listener(ready);
  }
}
