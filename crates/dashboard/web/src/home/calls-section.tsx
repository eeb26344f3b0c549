import { useState } from "react";
import * as callsApi from "../api/calls";
import type { Call } from "../api/types";
import { api, useUser } from "../auth/current";
import { isOver, other, upsert } from "../call/call-state";
import { askForNotifications, useNotificationPermission } from "../call/notify";
import { placeCall } from "../call/place";
import { duration, shortDate } from "../i18n/time";
import { useCaughtUp, usePush } from "../realtime/current";
import { paths } from "../router/routes";
import { Avatar } from "../ui/avatar";
import { Button, IconButton, LinkButton } from "../ui/button";
import { Icon, type IconName } from "../ui/icon";
import { Name } from "../ui/name";
import { Empty, LoadFailed, Spinner } from "../ui/notice";
import { useAction, useResource } from "../ui/resource";
import { t } from "./strings";

export function CallsSection() {
  const calls = useResource(() => callsApi.listCalls(api).then(({ items }) => items), "calls");
  useCaughtUp(calls.reload);
  usePush("call_updated", (call) => calls.set((list) => upsert(list, call)));
  return (
    <section className="card" aria-labelledby="calls-title">
      <h2 id="calls-title">{t("calls")}</h2>
      <NotifyOffer />
      {calls.error !== null && <LoadFailed error={calls.error} retry={calls.reload} />}
      {calls.value === null && calls.error === null && <Spinner />}
      {calls.value?.length === 0 && (
        <Empty icon="phone" title={t("no_calls")}>
          {t("no_calls_text")}
        </Empty>
      )}
      {calls.value && calls.value.length > 0 && (
        <ul className="rows">
          {calls.value.slice(0, 12).map((call) => (
            <CallRow key={call.id} call={call} />
          ))}
        </ul>
      )}
    </section>
  );
}

const OFFERED = "aura.notifications-offered";

/** Once, until it is answered either way: calls can ring where nobody looks. */
function NotifyOffer() {
  const permission = useNotificationPermission();
  const [open, setOpen] = useState(() => localStorage.getItem(OFFERED) !== "1");
  const answer = (yes: boolean) => {
    localStorage.setItem(OFFERED, "1");
    setOpen(false);
    if (yes) void askForNotifications();
  };
  if (!open || permission !== "default") return null;
  return (
    <div className="offer" data-testid="notify-offer">
      <p>{t("notify_offer")}</p>
      <div className="offer-answers">
        <Button small look="primary" onClick={() => answer(true)} data-testid="notify-yes">
          {t("notify_yes")}
        </Button>
        <Button small look="quiet" onClick={() => answer(false)} data-testid="notify-no">
          {t("notify_no")}
        </Button>
      </div>
    </div>
  );
}

function describe(call: Call, outgoing: boolean): { icon: IconName; text: string; bad?: boolean } {
  switch (call.status) {
    case "initiated":
    case "ringing":
      return { icon: outgoing ? "outgoing" : "incoming", text: t("call_ringing") };
    case "active":
      return { icon: outgoing ? "outgoing" : "incoming", text: t("call_now") };
    case "declined":
      return { icon: outgoing ? "outgoing" : "incoming", text: t("call_declined") };
    case "missed":
      return outgoing
        ? { icon: "outgoing", text: t("call_no_answer") }
        : { icon: "missed", text: t("call_missed"), bad: true };
    case "failed":
      return { icon: outgoing ? "outgoing" : "incoming", text: t("call_failed") };
    case "completed":
      return { icon: outgoing ? "outgoing" : "incoming", text: outgoing ? t("call_outgoing") : t("call_incoming") };
  }
}

function CallRow({ call }: { call: Call }) {
  const me = useUser();
  const person = other(call, me.id);
  const { icon, text, bad } = describe(call, call.caller.id === me.id);
  const again = useAction(async () => {
    await placeCall(person.id, call.media);
  });
  return (
    <li className="row" data-testid="call-row" data-status={call.status}>
      <Avatar name={person.display_name} id={person.id} />
      <div className="row-text">
        <Name as="strong">{person.display_name}</Name>
        <span className={bad ? "row-note row-note-bad" : "row-note"}>
          <Icon name={icon} size={14} />
          {[text, call.duration_seconds !== null && duration(call.duration_seconds), shortDate(call.created_at)]
            .filter(Boolean)
            .join(" · ")}
        </span>
      </div>
      {isOver(call) ? (
        <IconButton
          icon={call.media === "video" ? "cam" : "phone"}
          label={t("call_back", { name: person.display_name })}
          disabled={again.busy}
          onClick={() => void again.run()}
          data-testid="call-back"
        />
      ) : (
        <LinkButton small to={paths.call(call.id)}>
          {t("rejoin_call")}
        </LinkButton>
      )}
    </li>
  );
}
