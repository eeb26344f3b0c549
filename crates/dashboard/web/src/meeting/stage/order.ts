// The order of tiles. Pure. Oneself first, then screens, then people with a raised hand, then in the
// order they came; somebody who speaks on a later page is moved onto the first, and others stay put.

export interface Ordered {
  key: string;
  identity: string;
  local: boolean;
  screen: boolean;
  hand: number | null;
  joinedAt: number;
}

function rank(tile: Ordered): number {
  if (tile.screen) return 0;
  if (tile.local) return 1;
  return tile.hand !== null ? 2 : 3;
}

export function order<T extends Ordered>(tiles: readonly T[]): T[] {
  return [...tiles].sort(
    (a, b) =>
      rank(a) - rank(b) || (a.hand ?? 0) - (b.hand ?? 0) || a.joinedAt - b.joinedAt || a.key.localeCompare(b.key),
  );
}

/** Swaps `speaker` onto the first page if they are not there, in place of that page's last person. */
export function promote<T extends Ordered>(tiles: readonly T[], speaker: string | null, pageSize: number): T[] {
  const result = [...tiles];
  const at = result.findIndex((tile) => !tile.screen && tile.identity === speaker);
  const last = Math.min(pageSize, result.length) - 1;
  if (at <= last || last < 0) return result;
  const [tile] = result.splice(at, 1);
  if (tile) result.splice(last, 0, tile);
  return result;
}
