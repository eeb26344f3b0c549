import { useEffect, useState } from "react";
import { duration } from "../i18n/time";
import { Button, IconButton } from "../ui/button";
import { Icon } from "../ui/icon";
import { Name } from "../ui/name";
import { useMeeting } from "./context";
import { LowBandwidth } from "./controls/low-bandwidth";
import type { LayoutMode } from "./stage/focus";
import { QualityBadge } from "./stage/quality";
import { t } from "./strings";

interface TopBarProps {
  counting: boolean;
  mode: LayoutMode;
  setMode(mode: LayoutMode): void;
  sharing: boolean;
  stopSharing(): void;
  onInvite: (() => void) | null;
}

export function TopBar({ counting, mode, setMode, sharing, stopSharing, onInvite }: TopBarProps) {
  const { title, room, kind, connection } = useMeeting();
  const started = connection.phase !== "connecting" && !(connection.phase === "rejoining" && connection.first);
  return (
    <header className="topbar">
      <div className="topbar-title">
        <Name as="h1" data-testid="meeting-title">
          {title}
        </Name>
        <Clock running={started && counting} />
        {connection.phase === "connected" && <QualityBadge participant={room.localParticipant} always />}
        <LowBandwidth />
      </div>
      {sharing && (
        <div className="sharing" role="status">
          <Icon name="screen" size={16} />
          <span>{t("sharing_now")}</span>
          <Button small look="danger" onClick={stopSharing}>
            {t("share_stop")}
          </Button>
        </div>
      )}
      <div className="topbar-actions">
        {onInvite && (
          <Button small look="quiet" icon="link" onClick={onInvite} data-testid="copy-invite">
            {t("invite")}
          </Button>
        )}
        {kind === "room" && (
          <div className="layouts" role="group" aria-label={t("layout")}>
            <IconButton icon="grid" label={t("grid")} aria-pressed={mode === "grid"} onClick={() => setMode("grid")} data-testid="layout-grid" />
            <IconButton icon="speaker" label={t("speaker")} aria-pressed={mode === "speaker"} onClick={() => setMode("speaker")} data-testid="layout-speaker" />
          </div>
        )}
      </div>
    </header>
  );
}

function Clock({ running }: { running: boolean }) {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    if (!running) return;
    const start = Date.now();
    const timer = setInterval(() => setSeconds((Date.now() - start) / 1000), 1000);
    return () => clearInterval(timer);
  }, [running]);
  if (!running) return null;
  return (
    <span className="clock" role="timer" aria-label={t("elapsed")} aria-live="off">
      {duration(seconds)}
    </span>
  );
}
