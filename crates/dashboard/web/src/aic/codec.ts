// The codec as the worker uses it: crates/aic-wasm behind a typed face. Addresses never leave this file; every call
// passes its data through one exchange buffer whose place in memory is asked for anew, since memory may grow.
import type { Reason } from "./choice";
import { FRAME, type Files, type Link, type Mode, type Settings } from "./messages";

interface Exports {
  memory: WebAssembly.Memory;
  aic_exchange(length: number): number;
  aic_length(): number;
  aic_model(manifest: number, encoder: number, decoder: number, codebooks: number): number;
  aic_sender(mode: number, minQuality: number, maxLatencyMs: number): number;
  aic_push(sender: number, nowMs: number, tookMs: number): number;
  aic_first(sender: number): number;
  aic_loss(sender: number, nowMs: number, share: number): void;
  aic_rung(nowMs: number, mode: number, reason: number, share: number, availableBps: number): number;
  aic_status(sender: number): number;
  aic_receiver(): number;
  aic_insert(receiver: number, frame: number): number;
  aic_pull(receiver: number): number;
  aic_late(receiver: number): number;
  aic_close(stream: number): void;
}

const MODES: readonly Mode[] = ["conservative", "adaptive", "aggressive"];
const REASONS: readonly (Reason | null)[] = [
  null,
  "quality",
  "latency",
  "content",
  "model_mismatch",
  "overload",
  "unavailable",
  "disabled",
];
const PLAYED = ["coded", "redundant", "concealed", "silent", "waiting"] as const;

/** What a frame was made of: its codes, their coarse copy in a later packet, invention, described silence, nothing. */
export type Played = (typeof PLAYED)[number];

export class CodecError extends Error {}

export class Codec {
  private constructor(
    private readonly exports: Exports,
    readonly model: string,
  ) {}

  /** Compiles the codec and loads a model, whose files are checked against its manifest. */
  static async load({ wasm, manifest, encoder, decoder, codebooks }: Files): Promise<Codec> {
    const { instance } = await WebAssembly.instantiate(wasm, {});
    const exports = instance.exports as unknown as Exports;
    const parts = [manifest, encoder, decoder, codebooks].map((part) => new Uint8Array(part));
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    fill(exports, whole);
    const failed = exports.aic_model(manifest.byteLength, encoder.byteLength, decoder.byteLength, codebooks.byteLength) < 0;
    const text = new TextDecoder().decode(drain(exports, exports.aic_length()));
    if (failed) throw new CodecError(text);
    return new Codec(exports, text);
  }

  sender(settings: Settings): Sender {
    const mode = MODES.indexOf(settings.mode);
    return new Sender(this.exports, this.exports.aic_sender(mode, settings.minQuality, settings.maxLatencyMs));
  }

  /** Bits per second for Opus over such a link. */
  rung({ mode, reason, share, availableBps }: Link, nowMs: number): number {
    const [way, why] = [MODES.indexOf(mode), REASONS.indexOf(reason)];
    return checked(this.exports, this.exports.aic_rung(nowMs, way, why, share, availableBps));
  }

  receiver(): Receiver {
    return new Receiver(this.exports, this.exports.aic_receiver());
  }
}

export interface Status {
  /** Why AIC should not be used now, or null. */
  trouble: Reason | null;
  /** Kilobits per second of payload at the present rate and redundancy. */
  rateKbps: number;
  /** `quality_score` of the last second; null while unknown. */
  quality: number | null;
  /** Frames in a packet. */
  bundle: number;
}

export class Sender {
  constructor(
    private readonly exports: Exports,
    private readonly handle: number,
  ) {}

  /** Takes 20 ms of microphone; answers a payload whenever a packet is full. `tookMs` is what the last call took. */
  push(frame: Float32Array, nowMs: number, tookMs: number): Uint8Array | null {
    fill(this.exports, bytesOf(frame));
    const length = checked(this.exports, this.exports.aic_push(this.handle, nowMs, tookMs));
    return length > 0 ? drain(this.exports, length) : null;
  }

  /** Number of the first frame in the payload that `push` just answered. */
  get first(): number {
    return this.exports.aic_first(this.handle) >>> 0;
  }

  /** Share of packets the listeners report lost, 0–1. */
  loss(share: number, nowMs: number): void {
    this.exports.aic_loss(this.handle, nowMs, share);
  }

  get status(): Status {
    const bytes = drain(this.exports, checked(this.exports, this.exports.aic_status(this.handle)));
    const [trouble = 0, rateKbps = 0, quality = -1, bundle = 1] = new Float64Array(bytes.buffer);
    return { trouble: REASONS[trouble] ?? null, rateKbps, quality: quality < 0 ? null : quality, bundle };
  }

  close(): void {
    this.exports.aic_close(this.handle);
  }
}

export class Receiver {
  constructor(
    private readonly exports: Exports,
    private readonly handle: number,
  ) {}

  /** Takes a payload whose first frame has number `frame`. False: it is not one, and nothing changed. */
  insert(frame: number, payload: Uint8Array): boolean {
    fill(this.exports, payload);
    return this.exports.aic_insert(this.handle, frame) >= 0;
  }

  /** Packets that came too late to be played. */
  get late(): number {
    return this.exports.aic_late(this.handle);
  }

  /** The next 20 ms to play. */
  pull(): { pcm: Float32Array<ArrayBuffer>; played: Played } {
    const played = PLAYED[checked(this.exports, this.exports.aic_pull(this.handle))] ?? "waiting";
    return { pcm: new Float32Array(drain(this.exports, FRAME * 4).buffer), played };
  }

  close(): void {
    this.exports.aic_close(this.handle);
  }
}

function fill(exports: Exports, bytes: Uint8Array): void {
  const at = exports.aic_exchange(bytes.length);
  new Uint8Array(exports.memory.buffer, at, bytes.length).set(bytes);
}

/** A copy of what the codec left in the exchange buffer. */
function drain(exports: Exports, length: number): Uint8Array<ArrayBuffer> {
  const at = exports.aic_exchange(length);
  return new Uint8Array(exports.memory.buffer, at, length).slice();
}

function checked(exports: Exports, result: number): number {
  if (result < 0) throw new CodecError(new TextDecoder().decode(drain(exports, exports.aic_length())));
  return result;
}

const bytesOf = (samples: Float32Array): Uint8Array =>
  new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
