// Browsers stay silent on pages nobody has clicked yet; this asks for that click.
import { useEffect, useState } from "react";
import { RoomEvent } from "livekit-client";
import { Button } from "../ui/button";
import { Icon } from "../ui/icon";
import { useMeeting } from "./context";
import { t } from "./strings";

export function SoundGate() {
  const { room } = useMeeting();
  const [silent, setSilent] = useState(!room.canPlaybackAudio);
  useEffect(() => {
    const changed = () => setSilent(!room.canPlaybackAudio);
    changed();
    room.on(RoomEvent.AudioPlaybackStatusChanged, changed);
    return () => {
      room.off(RoomEvent.AudioPlaybackStatusChanged, changed);
    };
  }, [room]);
  if (!silent) return null;
  return (
    <div className="banner banner-calm" role="status">
      <Icon name="volume" size={18} />
      <span>{t("hear")}</span>
      <Button small look="primary" onClick={() => void room.startAudio().catch(() => {})}>
        {t("hear_action")}
      </Button>
    </div>
  );
}
