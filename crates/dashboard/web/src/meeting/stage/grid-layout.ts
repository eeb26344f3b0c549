// How many tiles fit, how large, in how many columns. Pure arithmetic.

export interface GridBox {
  width: number;
  height: number;
  gap: number;
  /** Tiles narrower than this go to the next page. */
  minWidth: number;
}

export interface Grid {
  columns: number;
  rows: number;
  tileWidth: number;
  tileHeight: number;
  pageSize: number;
  pages: number;
}

/** How upright a tile may be: cameras are wide, but on an upright screen height is what there is. */
const MIN_ASPECT_WIDE = 4 / 3;
const MIN_ASPECT_UPRIGHT = 4 / 5;
const MAX_ASPECT = 16 / 9;
const MAX_PER_PAGE = 36;

interface Fit {
  columns: number;
  rows: number;
  tileWidth: number;
  tileHeight: number;
}

function fit(count: number, { width, height, gap }: GridBox): Fit {
  const minAspect = width > height ? MIN_ASPECT_WIDE : MIN_ASPECT_UPRIGHT;
  let best: Fit = { columns: 1, rows: count, tileWidth: 0, tileHeight: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - gap * (columns - 1)) / columns;
    const cellHeight = (height - gap * (rows - 1)) / rows;
    if (cellWidth <= 0 || cellHeight <= 0) continue;
    const tileWidth = Math.min(cellWidth, cellHeight * MAX_ASPECT);
    const tileHeight = Math.min(cellHeight, tileWidth / minAspect);
    if (tileWidth * tileHeight > best.tileWidth * best.tileHeight) best = { columns, rows, tileWidth, tileHeight };
  }
  return best;
}

export function gridLayout(count: number, box: GridBox): Grid {
  const wanted = Math.max(1, Math.min(count, MAX_PER_PAGE));
  for (let size = wanted; size >= 1; size -= 1) {
    const found = fit(size, box);
    if (found.tileWidth >= box.minWidth || size === 1) {
      return {
        columns: found.columns,
        rows: found.rows,
        tileWidth: Math.floor(found.tileWidth),
        tileHeight: Math.floor(found.tileHeight),
        pageSize: size,
        pages: Math.max(1, Math.ceil(count / size)),
      };
    }
  }
  throw new Error("a page holds at least one tile");
}

/** The items of page `page` (from 0), kept within the pages there are. */
export function pageOf<T>(items: readonly T[], grid: Pick<Grid, "pageSize" | "pages">, page: number): { items: T[]; page: number } {
  const kept = Math.min(Math.max(0, page), grid.pages - 1);
  return { items: items.slice(kept * grid.pageSize, (kept + 1) * grid.pageSize), page: kept };
}
