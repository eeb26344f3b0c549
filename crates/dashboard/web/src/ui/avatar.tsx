// A coloured disc with initials; the colour belongs to the person, not to the page.
import { firstCharacter } from "../i18n/brief";

/** Letters where there are any: an emoji behind a name is no initial. */
export function initials(name: string): string {
  const all = name.trim().split(/\s+/).filter(Boolean);
  const lettered = all.map((word) => word.replace(/^[^\p{L}\p{N}]+/u, "")).filter(Boolean);
  const words = lettered.length > 0 ? lettered : all;
  const first = firstCharacter(words[0] ?? "?") || "?";
  const last = words.length > 1 ? firstCharacter(words[words.length - 1] ?? "") : "";
  return (first + last).toLocaleUpperCase();
}

/** 0–7, stable for a key. */
export function tone(key: string): number {
  let hash = 7;
  for (const char of key) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 9973;
  return hash % 8;
}

export function Avatar({ name, id, size = "medium" }: { name: string; id: string; size?: "small" | "medium" | "large" | "fill" }) {
  return (
    <span className={`avatar avatar-${size} tone-${tone(id)}`} data-initials={initials(name)} aria-hidden="true" />
  );
}
