import { describe, expect, it } from "vitest";
import { gridLayout, pageOf } from "./grid-layout";

const desktop = { width: 1280, height: 640, gap: 8, minWidth: 180 };
const phone = { width: 374, height: 620, gap: 8, minWidth: 140 };

describe("grid", () => {
  it("gives one person everything that is useful", () => {
    expect(gridLayout(1, desktop)).toMatchObject({ columns: 1, rows: 1, tileWidth: 1137, tileHeight: 640, pages: 1 });
  });

  it("sits two side by side on a desktop and on top of each other on a phone", () => {
    expect(gridLayout(2, desktop)).toMatchObject({ columns: 2, rows: 1 });
    expect(gridLayout(2, phone)).toMatchObject({ columns: 1, rows: 2 });
  });

  it("never overflows its box and stays between upright and wide", () => {
    for (const box of [desktop, phone, { width: 90, height: 900, gap: 8, minWidth: 140 }]) {
      for (let count = 1; count <= 60; count += 1) {
        const grid = gridLayout(count, box);
        expect(grid.columns * grid.tileWidth + (grid.columns - 1) * box.gap).toBeLessThanOrEqual(box.width + 0.001);
        expect(grid.rows * grid.tileHeight + (grid.rows - 1) * box.gap).toBeLessThanOrEqual(box.height + 0.001);
        expect(grid.tileWidth / grid.tileHeight).toBeGreaterThan(box.width > box.height ? 1.3 : 0.78);
        expect(grid.tileWidth / grid.tileHeight).toBeLessThan(1.82);
        expect(grid.columns * grid.rows).toBeGreaterThanOrEqual(Math.min(count, grid.pageSize));
      }
    }
  });

  it("turns pages instead of drawing stamps", () => {
    const grid = gridLayout(30, phone);
    expect(grid.tileWidth).toBeGreaterThanOrEqual(140);
    expect(grid.pages).toBe(Math.ceil(30 / grid.pageSize));
    expect(grid.pages).toBeGreaterThan(1);
  });

  it("survives an empty room and a box not measured yet", () => {
    expect(gridLayout(0, desktop)).toMatchObject({ pages: 1, pageSize: 1 });
    expect(gridLayout(5, { width: 0, height: 0, gap: 8, minWidth: 180 })).toMatchObject({ tileWidth: 0, pageSize: 1 });
  });

  it("keeps the page within range when people leave", () => {
    const items = [1, 2, 3, 4, 5];
    expect(pageOf(items, { pageSize: 2, pages: 3 }, 2)).toEqual({ items: [5], page: 2 });
    expect(pageOf(items, { pageSize: 5, pages: 1 }, 2)).toEqual({ items, page: 0 });
  });
});
