import { useEffect, useReducer, useState } from "react";
import { Player } from "./player";

const TICK_MS = 80;

/** A player of its own for each part of the page, redrawn as it plays. */
export function usePlayer(): Player {
  const [player] = useState(() => new Player());
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const { playing } = player;
  useEffect(() => {
    player.onChange = redraw;
    return () => player.close();
  }, [player]);
  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(redraw, TICK_MS);
    return () => clearInterval(timer);
  }, [playing]);
  return player;
}
