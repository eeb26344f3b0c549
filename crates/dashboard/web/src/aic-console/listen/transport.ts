// Where playback is, from when it began; the clock is the audio hardware's. Pure.

export interface Transport {
  /** Clock time at which position 0 would have been played; null while paused. */
  origin: number | null;
  /** Where it is while paused, in seconds. */
  paused: number;
}

export const STOPPED: Transport = { origin: null, paused: 0 };

export function position({ origin, paused }: Transport, now: number, duration: number): number {
  return Math.min(duration, Math.max(0, origin === null ? paused : now - origin));
}

export function play(transport: Transport, now: number, duration: number): Transport {
  const from = position(transport, now, duration);
  // At the end, playing means again.
  return { origin: now - (from >= duration - 0.01 ? 0 : from), paused: 0 };
}

export function pause(transport: Transport, now: number, duration: number): Transport {
  return { origin: null, paused: position(transport, now, duration) };
}

export function seek(transport: Transport, now: number, to: number): Transport {
  return transport.origin === null ? { origin: null, paused: to } : { origin: now - to, paused: 0 };
}
