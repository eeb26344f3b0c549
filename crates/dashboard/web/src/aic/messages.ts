// What page, worker and audio thread tell each other.
import type { Reason } from "./choice";

export const SAMPLE_RATE = 16_000;
export const FRAME = 320;
export const FRAME_MS = 20;

export type Mode = "conservative" | "adaptive" | "aggressive";

export interface Settings {
  mode: Mode;
  /** Least `quality_score`, 0–1, before AIC gives way to Opus. */
  minQuality: number;
  /** Most milliseconds the codec may take per frame. */
  maxLatencyMs: number;
}

export const DEFAULTS: Settings = { mode: "adaptive", minQuality: 0.85, maxLatencyMs: 20 };

/** What decides how low Opus is sent. */
export interface Link {
  mode: Mode;
  /** Why AIC is away, or null. */
  reason: Reason | null;
  /** Share of packets the listeners report lost, 0–1. */
  share: number;
  /** What the link carries, headers included. */
  availableBps: number;
}

/** The contents of the codec's and the model's files. */
export interface Files {
  wasm: ArrayBuffer;
  manifest: ArrayBuffer;
  encoder: ArrayBuffer;
  decoder: ArrayBuffer;
  codebooks: ArrayBuffer;
}

export type ToWorker =
  | { type: "load"; files: Files }
  /** Frames from the microphone arrive on `port`. */
  | { type: "capture"; port: MessagePort }
  /** Null stops sending. */
  | { type: "send"; settings: Settings | null }
  /** How the link is; null when no low Opus is sent. */
  | { type: "link"; link: Link | null }
  | { type: "loss"; share: number }
  /** A remote voice: its player asks for frames on `port`. */
  | { type: "open"; id: string; port: MessagePort }
  /** Switches a voice's output on, or off after `lingerFrames`; off, the player gets silence. */
  | { type: "audible"; id: string; on: boolean; lingerFrames: number }
  | { type: "packet"; id: string; frame: number; payload: Uint8Array }
  /** The voice begins anew: what came before says nothing about when to play what comes. */
  | { type: "restart"; id: string }
  | { type: "close"; id: string }
  /** For tests: what was played of a voice lately, or sent where `id` is empty. */
  | { type: "record"; id: string };

/** How a remote voice fares. */
export interface VoiceReport {
  id: string;
  /** Level of the last 100 ms, RMS, full scale 1. */
  level: number;
  /** Frames since the last packet, as played; large once the sender has gone silent. */
  starvedFrames: number;
  /** Frames played, by what they were made of. */
  decoded: number;
  concealed: number;
  silent: number;
  waiting: number;
  /** Packets that came too late. */
  late: number;
}

export interface SendReport {
  level: number;
  /** Null while AIC may be used. */
  trouble: Reason | null;
  /** Kilobits per second of payload while speaking. */
  rateKbps: number;
  quality: number | null;
  /** Of encoding and judging one frame: mean and 95th percentile since the last report. */
  meanMs: number;
  p95Ms: number;
  frames: number;
}

export type FromWorker =
  | { type: "ready"; model: string; encodeMs: number; decodeMs: number }
  | { type: "failed"; message: string }
  | { type: "packet"; frame: number; payload: Uint8Array }
  /** `opusBps` is for low Opus over the link as last told, null without one. */
  | { type: "report"; send: SendReport | null; voices: VoiceReport[]; opusBps: number | null }
  | { type: "recorded"; id: string; pcm: Int16Array };

export type ToPlayer = Float32Array;
/** A frame is done with: the player asks for the next, the worker can take another. */
export type Done = "done";
