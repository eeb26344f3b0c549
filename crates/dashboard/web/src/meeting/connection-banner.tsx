// Says what is happening to the connection, and offers a way out when it takes long.
import { useEffect, useState } from "react";
import { Button } from "../ui/button";
import { Icon } from "../ui/icon";
import type { Connection } from "./connection";
import { useMeeting } from "./context";
import { t } from "./strings";

const LONG_ATTEMPT = 4;

function useOnline(): boolean {
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const changed = () => setOnline(navigator.onLine);
    addEventListener("online", changed);
    addEventListener("offline", changed);
    return () => {
      removeEventListener("online", changed);
      removeEventListener("offline", changed);
    };
  }, []);
  return online;
}

function sentence(connection: Connection, online: boolean): string | null {
  switch (connection.phase) {
    case "connecting":
      return t("connecting");
    case "connected":
      return connection.restored ? t("restored") : null;
    case "resuming":
      return online ? t("resuming") : t("offline");
    case "reconnecting":
      return online ? t("reconnecting") : t("offline");
    case "rejoining":
      if (!online) return t("offline");
      if (connection.attempt >= LONG_ATTEMPT) return t("rejoining_long");
      return connection.first ? t("connecting") : t("rejoining");
    case "ended":
      return null;
  }
}

export function ConnectionBanner() {
  const { connection, leave } = useMeeting();
  const text = sentence(connection, useOnline());
  const good = connection.phase === "connected";
  const starting = connection.phase === "rejoining" && connection.first && connection.attempt < LONG_ATTEMPT;
  const calm = connection.phase === "connecting" || starting;
  return (
    <div className="banner-place" role="status" aria-live="polite">
      {text && (
        <div
          className={`banner ${good ? "banner-good" : calm ? "banner-calm" : "banner-bad"}`}
          data-testid="connection-banner"
          data-phase={connection.phase}
        >
          {good ? <Icon name="check" size={18} /> : <span className="spinner spinner-small" />}
          <span>{text}</span>
          {connection.phase === "rejoining" && (
            <Button small onClick={leave}>
              {t("leave_instead")}
            </Button>
          )}
        </div>
      )}
    </div>
  );
}
