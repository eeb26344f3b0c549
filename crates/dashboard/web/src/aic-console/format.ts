// Figures of the codec as people read them.
import { currentLocale } from "../i18n/translate";
import { t } from "./strings";

function fixed(value: number, digits: number): string {
  return value.toLocaleString(currentLocale(), { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const or = (value: number | null, write: (value: number) => string) => (value === null ? t("none") : write(value));

/** 81.25 → "81 %"; below ten with a digit more, so that small shares are not rounded away. */
export const percent = (value: number | null): string =>
  or(value, (value) => `${fixed(value, value !== 0 && Math.abs(value) < 9.95 && !Number.isInteger(value) ? 1 : 0)} %`);

export const milliseconds = (value: number | null): string =>
  or(value, (value) => `${fixed(value, value < 9.95 && !Number.isInteger(value) ? 1 : 0)} ms`);

export const score = (value: number | null): string => or(value, (value) => fixed(value, 2));

export const kilobits = (value: number | null): string => or(value, (value) => fixed(value, value < 9.95 && !Number.isInteger(value) ? 1 : 0));

export const kilobytes = (value: number): string =>
  value >= 1000 ? `${fixed(value / 1000, 1)} MB` : `${fixed(value, value < 9.95 && !Number.isInteger(value) ? 1 : 0)} kB`;

/** 30 → "30 s", 900 → "15 min", 7200 → "2 h". */
export function bucketLength(seconds: number): string {
  if (seconds >= 3600) return `${Math.round(seconds / 3600)} h`;
  return seconds >= 60 ? `${Math.round(seconds / 60)} min` : `${seconds} s`;
}
