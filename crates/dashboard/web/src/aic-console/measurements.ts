// From the API's measurements to what the plots and tiles show. Pure.
import type { AicFigures, AicMetrics, AicPoint } from "../api/types";
import type { Sample } from "../chart/scale";

export interface Range {
  id: "15m" | "1h" | "24h" | "7d";
  seconds: number;
  /** Chosen for about a hundred points. */
  bucket_s: number;
}

export const RANGES: Range[] = [
  { id: "15m", seconds: 900, bucket_s: 10 },
  { id: "1h", seconds: 3600, bucket_s: 30 },
  { id: "24h", seconds: 86_400, bucket_s: 900 },
  { id: "7d", seconds: 604_800, bucket_s: 7200 },
];

/** The range up to `now`, beginning and ending at whole buckets so that bars do not wander from poll to poll. */
export function spanOf(range: Range, now: number): { from: Date; to: Date; bucket_s: number } {
  const width = range.bucket_s * 1000;
  const to = Math.ceil(now / width) * width;
  return { from: new Date(to - range.seconds * 1000), to: new Date(to), bucket_s: range.bucket_s };
}

export function samples(metrics: AicMetrics, read: (point: AicPoint) => number | null): Sample[] {
  return metrics.points.map((point) => ({ at: Date.parse(point.at), value: read(point) }));
}

const percent = (share: number | null) => (share === null ? null : share * 100);

export const savedPercent = ({ figures }: AicPoint) => percent(figures.compression_ratio);
export const qualityMean = ({ figures }: AicPoint) => figures.quality;
export const qualityMin = ({ quality_min }: AicPoint) => quality_min;
export const latencyMean = ({ figures }: AicPoint) => figures.latency_mean_ms;
export const latencyP95 = ({ figures }: AicPoint) => figures.latency_p95_ms;
export const fallbackPercent = ({ figures }: AicPoint) => (figures.frames > 0 ? figures.fallback_rate * 100 : null);
export const savedKilobytes = ({ figures }: AicPoint) => figures.saved_bytes / 1000;

/** Payload while somebody spoke or was heard, in kbit/s: bytes over the time the frames stand for. */
export function bitrate(bytes: number, figures: AicFigures): number | null {
  return figures.frames > 0 ? (bytes * 8) / (figures.frames * 20) : null;
}

/** Reasons with how often each, most frequent first. */
export function reasons(metrics: AicMetrics): { reason: string; times: number }[] {
  return Object.entries(metrics.total.fallbacks)
    .map(([reason, times]) => ({ reason, times }))
    .filter(({ times }) => times > 0)
    .sort((a, b) => b.times - a.times || a.reason.localeCompare(b.reason));
}

/** A quality axis begins at half: nothing usable lies below, unless something was measured there. */
export function qualityFloor(metrics: AicMetrics): number {
  const lowest = Math.min(1, ...metrics.points.flatMap((point) => [qualityMean(point) ?? 1, qualityMin(point) ?? 1]));
  return lowest < 0.5 ? 0 : 0.5;
}
