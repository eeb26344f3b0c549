import { useConnectionQualityIndicator } from "@livekit/components-react";
import { ConnectionQuality, type Participant } from "livekit-client";
import { t } from "../strings";

const bars: Record<ConnectionQuality, number> = {
  [ConnectionQuality.Excellent]: 3,
  [ConnectionQuality.Good]: 2,
  [ConnectionQuality.Poor]: 1,
  [ConnectionQuality.Lost]: 0,
  [ConnectionQuality.Unknown]: 3,
};

function describe(quality: ConnectionQuality): string {
  switch (quality) {
    case ConnectionQuality.Excellent:
      return t("excellent");
    case ConnectionQuality.Good:
      return t("good");
    case ConnectionQuality.Poor:
      return t("weak");
    case ConnectionQuality.Lost:
      return t("lost");
    case ConnectionQuality.Unknown:
      return t("unknown_quality");
  }
}

/** Signal bars; on tiles they appear only when there is something to worry about. */
export function QualityBadge({ participant, always = false }: { participant: Participant; always?: boolean }) {
  const { quality } = useConnectionQualityIndicator({ participant });
  const bad = quality === ConnectionQuality.Poor || quality === ConnectionQuality.Lost;
  if (!always && !bad) return null;
  const filled = bars[quality];
  return (
    <span className={`quality quality-${quality}`} role="img" aria-label={describe(quality)} title={describe(quality)} data-quality={quality}>
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        {[0, 1, 2].map((index) => (
          <rect
            key={index}
            className={index < filled ? "quality-on" : "quality-off"}
            x={1.5 + index * 5}
            y={10 - index * 4}
            width="3.2"
            height={5 + index * 4}
            rx="1"
          />
        ))}
      </svg>
    </span>
  );
}
