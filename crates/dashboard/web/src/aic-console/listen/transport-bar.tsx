import { Button } from "../../ui/button";
import { currentLocale } from "../../i18n/translate";
import type { Player } from "./player";
import { t } from "./strings";

interface TransportBarProps {
  player: Player;
  duration: number;
  onPlay(): void;
}

/** Play, pause, and where in the recording. */
export function TransportBar({ player, duration, onPlay }: TransportBarProps) {
  const length = player.length || duration;
  const seconds = (value: number) =>
    value.toLocaleString(currentLocale(), { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const place = t("seconds", { at: seconds(player.position), length: seconds(length) });
  return (
    <div className="transport">
      <Button
        look="primary"
        icon={player.playing ? "pause" : "play"}
        onClick={() => (player.playing ? player.pause() : onPlay())}
        data-testid="listen-play"
        data-playing={player.playing}
      >
        {player.playing ? t("pause") : t("play")}
      </Button>
      <input
        type="range"
        min={0}
        max={length}
        step={0.1}
        value={player.position}
        aria-label={t("place")}
        aria-valuetext={place}
        onChange={(event) => void player.seek(event.target.valueAsNumber)}
      />
      <span className="transport-time" aria-hidden="true">
        {seconds(player.position)} / {seconds(length)} s
      </span>
    </div>
  );
}
