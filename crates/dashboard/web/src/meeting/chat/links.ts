// Addresses in a message: web addresses with and without their scheme, and e-mail. Pure. What becomes a link is one of
// https:, http: and mailto:, whatever was written; nothing is fetched.

export interface Part {
  text: string;
  /** Null for plain text. */
  href: string | null;
}

// An address begins where a word begins, so that long words are read once.
const START = "(?<![\\p{L}\\p{N}._%+@/-])";
const WEB = "(?:https?://|www\\.)[^\\s<>\"“”«»]+";
const MAIL = "[\\p{L}\\p{N}][\\p{L}\\p{N}._%+-]{0,63}@[\\p{L}\\p{N}-]{1,63}(?:\\.[\\p{L}\\p{N}-]{1,63}){1,8}";
const ADDRESS = new RegExp(`${START}(?:${WEB}|${MAIL})`, "giu");

/** Text split into plain parts and addresses. */
export function linkify(text: string): Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const address = trimmed(found[0]);
    const href = hrefOf(address);
    if (!href) continue;
    if (found.index > end) parts.push({ text: text.slice(end, found.index), href: null });
    parts.push({ text: address, href });
    end = found.index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: null });
  return parts;
}

const PAIRS: Record<string, string> = { ")": "(", "]": "[", "}": "{" };

/** Without what belongs to the sentence: a full stop, a bracket that was opened before the address. */
function trimmed(address: string): string {
  let end = address.length;
  while (end > 0) {
    const last = address[end - 1] ?? "";
    const opening = PAIRS[last];
    const kept = address.slice(0, end);
    const closes = opening !== undefined && kept.split(opening).length >= kept.split(last).length;
    if (closes || !/[.,;:!?…)\]}'’"*_~]/.test(last)) break;
    end -= 1;
  }
  return address.slice(0, end);
}

function hrefOf(address: string): string | null {
  const web = /^https?:/i.test(address) ? address : /^www\./i.test(address) ? `https://${address}` : null;
  if (web === null) return `mailto:${address}`;
  const url = URL.canParse(web) ? new URL(web) : null;
  // "www." and "https://x" alone are no addresses, but hosts without a dot are, where a scheme is written.
  if (!url || (web !== address && !/^www\.[^.]+\.?[^.]/i.test(url.hostname))) return null;
  return url.protocol === "https:" || url.protocol === "http:" ? web : null;
}
