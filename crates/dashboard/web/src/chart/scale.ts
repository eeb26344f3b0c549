// From numbers to places on a plot, and the ticks people can read. Pure.

export interface Scale {
  min: number;
  max: number;
  /** Value → pixels. */
  at(value: number): number;
  ticks: number[];
}

/** 1, 2 or 5 times a power of ten: the smallest such step that gives at most `count` of them. */
export function niceStep(span: number, count: number): number {
  if (!(span > 0)) return 1;
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= raw * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/**
 * A vertical scale from `floor` to a round number at or above `max`; with a `ceiling`, always up to that, in equal
 * steps.
 */
export function valueScale(max: number, pixels: number, { floor = 0, ceiling, count = 4 }: Bounds = {}): Scale {
  const top = ceiling ?? Math.max(max, floor + 1e-6);
  const step = ceiling === undefined ? niceStep(top - floor, count) : evenStep(top - floor, count);
  const last = floor + Math.ceil((top - floor) / step - 1e-9) * step;
  const ticks: number[] = [];
  for (let index = 0; floor + index * step <= last + step * 1e-6; index++) ticks.push(tidy(floor + index * step));
  return { min: floor, max: last, ticks, at: (value) => pixels - ((value - floor) / (last - floor)) * pixels };
}

export interface Bounds {
  floor?: number;
  ceiling?: number;
  count?: number;
}

/** The smallest round step that divides `span` without a rest. */
function evenStep(span: number, count: number): number {
  const power = 10 ** Math.floor(Math.log10(span / count));
  const steps = [1, 2, 2.5, 5, 10].map((factor) => factor * power).filter((step) => step >= (span / count) * (1 - 1e-9));
  return steps.find((step) => Math.abs(span / step - Math.round(span / step)) < 1e-6) ?? span;
}

/** Takes the noise of binary fractions off: 0.30000000000000004 → 0.3. */
function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
  10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY,
];

/** Times at round places of the person's own clock. `offsetMs` is how far that is ahead of UTC. */
export function timeTicks(from: number, to: number, count: number, offsetMs = 0): number[] {
  const step = TIME_STEPS.find((candidate) => (to - from) / candidate <= count) ?? 7 * DAY;
  const ticks: number[] = [];
  const first = Math.ceil((from + offsetMs) / step) * step - offsetMs;
  for (let at = first; at <= to; at += step) ticks.push(at);
  return ticks;
}

export interface Sample {
  at: number;
  value: number | null;
}

/** Runs of samples without a hole: a line is not drawn over time nobody measured. */
export function runs(samples: Sample[], gap: number): { at: number; value: number }[][] {
  const result: { at: number; value: number }[][] = [];
  let current: { at: number; value: number }[] = [];
  for (const { at, value } of samples) {
    const previous = current.at(-1);
    if (value === null || (previous && at - previous.at > gap)) {
      if (current.length > 0) result.push(current);
      current = [];
    }
    if (value !== null) current.push({ at, value });
  }
  if (current.length > 0) result.push(current);
  return result;
}

/** The sample nearest in time; null when there is none. */
export function nearest(samples: { at: number }[], at: number): number | null {
  let best: number | null = null;
  samples.forEach((sample, index) => {
    const rival = best === null ? undefined : samples[best];
    if (!rival || Math.abs(sample.at - at) < Math.abs(rival.at - at)) best = index;
  });
  return best;
}
