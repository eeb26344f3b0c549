// Times and sizes as people read them.
import { currentLocale } from "./translate";

export function clockTime(at: number | string | Date): string {
  return new Date(at).toLocaleTimeString(currentLocale(), { hour: "numeric", minute: "2-digit" });
}

/** "14:05" today, "Mon 14:05" within a week, "3 Mar 2026" before that. */
export function shortDate(at: string, now = new Date()): string {
  const then = new Date(at);
  const locale = currentLocale();
  if (then.toDateString() === now.toDateString()) return clockTime(then);
  const days = Math.abs(now.getTime() - then.getTime()) / 86_400_000;
  if (days < 6) return `${then.toLocaleDateString(locale, { weekday: "short" })} ${clockTime(then)}`;
  return then.toLocaleDateString(locale, { day: "numeric", month: "short", year: "numeric" });
}

/** 75 → "1:15", 3700 → "1:01:40". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export function fileSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}
