// Tells the account's statistics what this page's codec did, every ten seconds while it does something.
import { reportUsage } from "../api/aic";
import type { Api } from "../api/client";
import type { AicUsageReport } from "../api/types";
import type { Reason } from "./choice";
import { FRAME_MS } from "./messages";
import type { AicSession, Usage } from "./session";

const EVERY_MS = 10_000;
/** What replaces AIC by default: Opus at 32 kbit/s. */
const NATIVE_BYTES = 80;

type Counts = Partial<Record<Reason, number>>;

/** What was counted since `before`. Pure. */
export function since(now: Counts, before: Counts): Record<string, number> {
  const entries = Object.entries(now).map(([reason, count]) => [reason, count - (before[reason as Reason] ?? 0)] as const);
  return Object.fromEntries(entries.filter(([, count]) => count > 0));
}

/** The report's figures, or null when there is nothing to report. Pure. */
export function figures(usage: Usage, fallbacks: Record<string, number>): Partial<AicUsageReport> | null {
  const { frames, aicFrames, bytes, qualities, meanMs, p95Ms } = usage;
  if (frames === 0) return null;
  const fallbackFrames = Math.max(0, frames - aicFrames);
  const quality = qualities.length > 0 && {
    quality_mean: qualities.reduce((sum, score) => sum + score, 0) / qualities.length,
    quality_min: Math.min(...qualities),
  };
  return {
    frames,
    fallback_frames: fallbackFrames,
    coded_bytes: bytes + fallbackFrames * (NATIVE_BYTES / 2),
    native_bytes: frames * NATIVE_BYTES,
    latency_mean_ms: meanMs,
    latency_p95_ms: p95Ms,
    ...quality,
    fallbacks,
  };
}

/** Reports until the answer is called; `place` names the room or call. */
export function reportEvery(session: AicSession, api: Api, place: string): () => void {
  const id = crypto.randomUUID();
  let sequence = 0;
  let counted: Counts = {};
  let from = performance.now();
  const send = (ended: boolean) => {
    const windowMs = Math.min(60_000, Math.round(performance.now() - from));
    from = performance.now();
    const usage = session.takeUsage();
    usage.frames = Math.min(usage.frames, Math.floor(windowMs / FRAME_MS));
    usage.aicFrames = Math.min(usage.aicFrames, usage.frames);
    const found = figures(usage, since(session.chooser.fallbacks, counted));
    counted = { ...session.chooser.fallbacks };
    const { running } = session.host;
    if (!found || running === null) return;
    const body = { session_id: id, sequence, mode: session.mode, model: running, window_ms: windowMs, room: place, ended, ...found };
    sequence += 1;
    reportUsage(api, body as AicUsageReport).catch(() => {});
  };
  const timer = setInterval(() => send(false), EVERY_MS);
  return () => {
    clearInterval(timer);
    send(true);
  };
}
