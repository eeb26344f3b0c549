// Where people are: a grid, or one tile large with the others in a strip, or (in a call of two) the
// other person large with oneself in the corner.
import { useRef, useState } from "react";
import { IconButton } from "../../ui/button";
import { useMeeting } from "../context";
import { t } from "../strings";
import { focused, type LayoutMode } from "./focus";
import { gridLayout, pageOf } from "./grid-layout";
import { promote } from "./order";
import { Tile } from "./tile";
import { useLastSpeaker, useTiles, type TileRef } from "./use-tiles";
import { useSize } from "./use-size";
import "./stage.css";

interface StageProps {
  mode: LayoutMode;
  hideNoVideo: boolean;
  /** Shown while nobody else is here. */
  alone: React.ReactNode;
}

export function Stage({ mode, hideNoVideo, alone }: StageProps) {
  const { kind, connection } = useMeeting();
  const [pinned, setPinned] = useState<string | null>(null);
  const speaker = useLastSpeaker();
  const all = useTiles();
  const visible = hideNoVideo ? all.filter((tile) => tile.hasVideo || tile.screen) : all;
  const tiles = visible.length > 0 ? visible : all;
  const focus = focused(tiles, { pinned, mode, speaker });
  const others = all.some((tile) => !tile.local);

  const pin = (tile: TileRef) => {
    if (pinned === tile.key) setPinned(null);
    // A shared screen takes the focus by itself: unpinning it means putting it into the grid.
    else if (focus === tile.key && tile.screen) setPinned("none");
    else setPinned(tile.key);
  };

  const duo = kind === "call" && all.length === 2 && others && !focus;
  return (
    <section className="stage" aria-label={t("stage")}>
      {duo ? (
        <Duo tiles={all} onPin={pin} />
      ) : focus ? (
        <Focused tiles={tiles} focus={focus} pinned={pinned} onPin={pin} />
      ) : (
        <Gallery tiles={tiles} pinned={pinned} onPin={pin} speaker={speaker} />
      )}
      {!others && (kind === "call" || connection.phase === "connected") && alone}
    </section>
  );
}

interface LayoutProps {
  tiles: TileRef[];
  onPin(tile: TileRef): void;
}

function Gallery({ tiles, pinned, onPin, speaker }: LayoutProps & { pinned: string | null; speaker: string | null }) {
  const box = useRef<HTMLDivElement>(null);
  const [wanted, setPage] = useState(0);
  const { width, height } = useSize(box);
  const gap = width < 600 ? 6 : 10;
  const grid = gridLayout(tiles.length, { width, height, gap, minWidth: width < 600 ? 150 : 200 });
  const { items, page } = pageOf(promote(tiles, speaker, grid.pageSize), grid, wanted);
  return (
    <>
      <div className="gallery" ref={box} style={{ gap }}>
        {grid.tileWidth > 0 &&
          items.map((tile) => (
            <Tile
              key={tile.key}
              trackRef={tile.trackRef}
              pinned={pinned === tile.key}
              onPin={() => onPin(tile)}
              style={{ width: grid.tileWidth, height: grid.tileHeight }}
            />
          ))}
      </div>
      {grid.pages > 1 && (
        <nav className="pages" aria-label={t("page_of", { page: page + 1, pages: grid.pages })}>
          <IconButton icon="chevron-left" label={t("page_previous")} disabled={page === 0} onClick={() => setPage(page - 1)} />
          <span aria-live="polite">
            {page + 1} / {grid.pages}
          </span>
          <IconButton
            icon="chevron-right"
            label={t("page_next")}
            disabled={page === grid.pages - 1}
            onClick={() => setPage(page + 1)}
          />
        </nav>
      )}
    </>
  );
}

function Focused({ tiles, focus, pinned, onPin }: LayoutProps & { focus: string; pinned: string | null }) {
  const main = tiles.find((tile) => tile.key === focus);
  const strip = tiles.filter((tile) => tile.key !== focus);
  if (!main) return null;
  return (
    <div className={strip.length > 0 ? "focus focus-with-strip" : "focus"}>
      <Tile
        key={main.key}
        trackRef={main.trackRef}
        pinned={pinned === main.key || main.screen}
        onPin={() => onPin(main)}
        size="focus"
      />
      {strip.length > 0 && (
        <div className="strip" tabIndex={0} role="group" aria-label={t("stage")}>
          {strip.map((tile) => (
            <Tile key={tile.key} trackRef={tile.trackRef} pinned={false} onPin={() => onPin(tile)} size="strip" />
          ))}
        </div>
      )}
    </div>
  );
}

function Duo({ tiles, onPin }: LayoutProps) {
  const remote = tiles.find((tile) => !tile.local);
  const mine = tiles.find((tile) => tile.local);
  return (
    <div className="duo">
      {remote && <Tile key={remote.key} trackRef={remote.trackRef} pinned={false} onPin={() => onPin(remote)} size="focus" />}
      {mine && <Tile key={mine.key} trackRef={mine.trackRef} pinned={false} onPin={() => onPin(mine)} size="corner" />}
    </div>
  );
}
