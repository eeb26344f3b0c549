import { useEffect } from "react";
import { ApiError } from "../api/problem";
import { Button } from "../ui/button";
import { LoadFailed, Notice } from "../ui/notice";
import { t } from "./strings";

const AGAIN_MS = 10_000;

interface UnavailableProps {
  error: unknown;
  retry(): void;
  /** Say what it means, once on a page. */
  explain?: boolean;
}

/** The codec's service away is no fault of the page, and none that stops calls. It is asked again by itself. */
export function Unavailable({ error, retry, explain = false }: UnavailableProps) {
  const away = error instanceof ApiError && error.status === 503;
  useEffect(() => {
    if (!away) return;
    const timer = setInterval(retry, AGAIN_MS);
    return () => clearInterval(timer);
  }, [away, retry]);
  if (!away) return <LoadFailed error={error} retry={retry} />;
  return (
    <Notice
      kind="warning"
      action={
        <Button small onClick={retry}>
          {t("retry")}
        </Button>
      }
    >
      {explain ? t("away") : t("away_brief")}
    </Notice>
  );
}
