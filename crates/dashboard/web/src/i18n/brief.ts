// Names and file names inside a sentence: never longer than the sentence bears, and never turning it around.

const FIRST_STRONG_ISOLATE = "\u2068";
const POP_ISOLATE = "\u2069";
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The first `most` characters as people count them, with an ellipsis where something is cut off. */
export function cut(text: string, most: number): string {
  // Enough of it for `most` graphemes of any length that occurs; a name of nothing but accents is cut there.
  const kept = [...graphemes.segment(text.slice(0, most * 16))].slice(0, most + 1);
  if (kept.length <= most && text.length <= most * 16) return text;
  return `${kept.slice(0, most - 1).map(({ segment }) => segment).join("").trimEnd()}…`;
}

/** A name as part of a sentence: short, and written in its own direction whatever the sentence's is. */
export const brief = (name: string, most = 32): string => `${FIRST_STRONG_ISOLATE}${cut(name, most)}${POP_ISOLATE}`;

/** The first character of a word as people see it: an emoji is one, however it is put together. */
export const firstCharacter = (word: string): string => [...graphemes.segment(word.slice(0, 64))][0]?.segment ?? "";
