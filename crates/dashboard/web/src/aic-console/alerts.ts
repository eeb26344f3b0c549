import type { AicAlert } from "../api/types";

/** How long an alert that is over is still shown. */
const SHOWN_MS = 7 * 86_400_000;

/** Those that still hold, and those that ended within a week. */
export const recent = (alerts: readonly AicAlert[], now: number): AicAlert[] =>
  alerts.filter(({ resolved_at }) => resolved_at === null || now - Date.parse(resolved_at) < SHOWN_MS);
