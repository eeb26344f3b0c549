// Which tile is the big one. Pure: a pin wins, then a screen somebody else shares, then whoever
// speaks (in speaker view); in grid view without either, none.

export type LayoutMode = "grid" | "speaker";

export interface Candidate {
  key: string;
  identity: string;
  screen: boolean;
  local: boolean;
}

export interface FocusChoice {
  /** A tile's key, or "none" when the person put a screen back into the grid. */
  pinned: string | null;
  mode: LayoutMode;
  /** Who spoke last, remembered by the caller. */
  speaker: string | null;
}

export const tileKey = (identity: string, screen: boolean): string => `${identity}/${screen ? "screen" : "camera"}`;

export function focused(tiles: readonly Candidate[], { pinned, mode, speaker }: FocusChoice): string | null {
  if (pinned && tiles.some(({ key }) => key === pinned)) return pinned;
  if (pinned !== "none") {
    const screen = tiles.findLast((tile) => tile.screen && !tile.local);
    if (screen) return screen.key;
  }
  if (mode === "grid") return null;
  const speaking = tiles.find((tile) => !tile.screen && !tile.local && tile.identity === speaker);
  const someone = speaking ?? tiles.find((tile) => !tile.local && !tile.screen) ?? tiles[0];
  return someone?.key ?? null;
}
