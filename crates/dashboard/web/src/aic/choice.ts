// Which codec a page sends: AIC over the data track, Opus over RTP, or both. Pure, with the clock as an argument.
//
// Opus stops only while everybody who listens can decode AIC, and comes back at once in any doubt. A page that
// asked for little data itself never sends both: its uplink is what is scarce.

export type Reason = "quality" | "latency" | "content" | "model_mismatch" | "overload" | "unavailable" | "disabled";

export interface Listener {
  /** The model it announces, if any. */
  model: string | undefined;
  /** It asked for little data. */
  want: boolean;
}

export interface Situation {
  /** Low bandwidth is switched on here. */
  want: boolean;
  /** The account's settings allow AIC. */
  enabled: boolean;
  /** The model that runs here, or null. */
  model: string | null;
  /** Why the codec itself advises against AIC now. */
  trouble: Reason | null;
  listeners: readonly Listener[];
}

export interface Plan {
  aic: boolean;
  opus: boolean;
  /** Why AIC is wanted but not all there is. */
  reason: Reason | null;
}

const OPUS: Plan = { aic: false, opus: true, reason: null };

/** Whether anybody in the room wants AIC, so that the codec is worth loading. */
export const wanted = (situation: Pick<Situation, "want" | "listeners">): boolean =>
  situation.want || situation.listeners.some((listener) => listener.want);

/** What to send as things stand. */
export function plan(situation: Situation): Plan {
  const { want, enabled, model, trouble, listeners } = situation;
  if (!wanted(situation)) return OPUS;
  if (!enabled) return { ...OPUS, reason: "disabled" };
  if (model === null) return { ...OPUS, reason: "unavailable" };
  if (trouble) return { ...OPUS, reason: trouble };
  const others = listeners.filter((listener) => listener.model !== model);
  if (others.length > 0) {
    const reason = others.some((listener) => listener.model) ? "model_mismatch" : "unavailable";
    const someoneNeedsIt = listeners.some((listener) => listener.want && listener.model === model);
    return { aic: !want && someoneNeedsIt, opus: true, reason };
  }
  return { aic: true, opus: !want && !listeners.every((listener) => listener.want), reason: null };
}

/** How long AIC must be possible before Opus stops, in milliseconds: at first, and after a fallback. */
export const SETTLE_MS = 1000;
export const RETURN_MS = 2500;

/** `plan` with hysteresis and with fallbacks counted. */
export class Chooser {
  readonly fallbacks: Partial<Record<Reason, number>> = {};
  private current: Plan = OPUS;
  private possibleSince: number | null = null;
  private fellBack = false;

  get plan(): Plan {
    return this.current;
  }

  /** Moves on to `now` (milliseconds) and answers what to send. */
  step(situation: Situation, now: number): Plan {
    const target = plan(situation);
    if (target.opus) {
      const left = !this.current.opus || (this.current.aic && !target.aic);
      if (left && target.reason) this.count(target.reason);
      if (!this.current.opus && target.reason) this.fellBack = true;
      if (!wanted(situation)) this.fellBack = false;
      this.possibleSince = null;
      this.current = target;
    } else {
      this.possibleSince ??= now;
      const settled = now - this.possibleSince >= (this.fellBack ? RETURN_MS : SETTLE_MS);
      this.current = this.current.opus && !settled ? { ...target, opus: true } : target;
      if (!this.current.opus) this.fellBack = false;
    }
    return this.current;
  }

  private count(reason: Reason): void {
    this.fallbacks[reason] = (this.fallbacks[reason] ?? 0) + 1;
  }
}
