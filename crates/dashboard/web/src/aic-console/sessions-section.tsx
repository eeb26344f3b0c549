import { useState } from "react";
import * as aicApi from "../api/aic";
import { messageOf } from "../api/problem";
import type { AicSession } from "../api/types";
import { api } from "../auth/current";
import { duration, shortDate } from "../i18n/time";
import { Button } from "../ui/button";
import { Empty, Notice, Spinner } from "../ui/notice";
import { useAction, useResource } from "../ui/resource";
import { milliseconds, percent, score } from "./format";
import { reasonText } from "./reasons";
import { t } from "./strings";
import { Unavailable } from "./unavailable";

export function SessionsSection() {
  const sessions = useResource(() => aicApi.listSessions(api), "aic-sessions");
  const next = sessions.value?.next_cursor ?? null;
  const more = useAction(async () => {
    if (!next) return;
    const page = await aicApi.listSessions(api, next);
    sessions.set((old) => ({ items: [...old.items, ...page.items], next_cursor: page.next_cursor }));
  });
  const items = sessions.value?.items;
  return (
    <section className="card audio-sessions" aria-labelledby="audio-sessions">
      <div>
        <h2 id="audio-sessions">{t("sessions")}</h2>
        <p className="row-note">{t("sessions_intro")}</p>
      </div>
      {sessions.error !== null && items === undefined && <Unavailable error={sessions.error} retry={sessions.reload} />}
      {sessions.error === null && items === undefined && <Spinner />}
      {items?.length === 0 && (
        <Empty icon="phone" title={t("sessions_empty_title")}>
          {t("sessions_empty_text")}
        </Empty>
      )}
      {items && items.length > 0 && <Sessions items={items} />}
      {more.error !== null && <Notice kind="error">{messageOf(more.error)}</Notice>}
      {next && (
        <Button busy={more.busy} onClick={() => void more.run()}>
          {t("more")}
        </Button>
      )}
    </section>
  );
}

function Sessions({ items }: { items: AicSession[] }) {
  const [now] = useState(() => Date.now());
  return (
    <table className="sessions">
      <thead>
        <tr>
          <th scope="col">{t("column_what")}</th>
          <th scope="col">{t("column_length")}</th>
          <th scope="col">{t("column_saved")}</th>
          <th scope="col">{t("column_quality")}</th>
          <th scope="col">{t("column_latency")}</th>
          <th scope="col">{t("column_fallbacks")}</th>
        </tr>
      </thead>
      <tbody>
        {items.map((session) => (
          <SessionRow key={session.id} session={session} now={now} />
        ))}
      </tbody>
    </table>
  );
}

function SessionRow({ session, now }: { session: AicSession; now: number }) {
  const { figures } = session;
  const end = session.ended_at ? Date.parse(session.ended_at) : now;
  const length = duration((end - Date.parse(session.started_at)) / 1000);
  return (
    <tr data-testid="aic-session" data-session-id={session.id}>
      <th scope="row">
        <strong>{t(`kind_${session.kind}`)}</strong>
        <span className="row-note">
          <time dateTime={session.started_at}>{shortDate(session.started_at)}</time> ·{" "}
          {session.direction === "send" ? t("sent") : t("received")} · {t(`mode_${session.mode}`)}
        </span>
      </th>
      <td data-label={t("column_length")}>
        {length}
        {!session.ended_at && <span className="tag tag-live">{t("running")}</span>}
      </td>
      <td data-label={t("column_saved")}>{percent(figures.compression_ratio === null ? null : figures.compression_ratio * 100)}</td>
      <td data-label={t("column_quality")}>{score(figures.quality)}</td>
      <td data-label={t("column_latency")}>{milliseconds(figures.latency_p95_ms)}</td>
      <td data-label={t("column_fallbacks")}>
        {session.fallbacks}
        {session.last_fallback_reason && <span className="row-note">{reasonText(session.last_fallback_reason)}</span>}
      </td>
    </tr>
  );
}
