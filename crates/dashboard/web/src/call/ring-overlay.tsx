// The card that appears over any page while somebody calls.
import { useEffect, useRef } from "react";
import * as callsApi from "../api/calls";
import { ApiError, messageOf } from "../api/problem";
import { api, useUser } from "../auth/current";
import { navigate, useRoute } from "../router/router";
import { paths } from "../router/routes";
import { Avatar } from "../ui/avatar";
import { Button } from "../ui/button";
import { Name } from "../ui/name";
import { useAction } from "../ui/resource";
import { toast } from "../ui/toast";
import { other } from "./call-state";
import { useIncoming } from "./incoming";
import { useCallNotification } from "./notify";
import { answerCall } from "./place";
import { t } from "./strings";
import { ring } from "./tones";

export function RingOverlay() {
  const me = useUser();
  const route = useRoute();
  const { call, hide } = useIncoming(me.id);
  const accept = useRef<HTMLButtonElement>(null);
  const shown = call !== null && !(route.name === "call" && route.id === call.id);
  const id = shown ? call.id : null;
  const busy = route.name === "room" || route.name === "join" || route.name === "call";

  useEffect(() => {
    if (!id) return;
    const stop = ring();
    const title = document.title;
    document.title = `● ${title}`;
    const before = document.activeElement as HTMLElement | null;
    // Somebody typing must not answer with the next space bar, and nobody leave a meeting with it.
    if (!busy && !before?.closest("input, textarea, select")) accept.current?.focus();
    return () => {
      stop();
      document.title = document.title.replace(/^● /, "");
      before?.focus?.();
    };
  }, [id]);

  const caller = call && other(call, me.id);
  // The call's page says who calls and lets one answer; a meeting is not left for it, and shows the card.
  useCallNotification(shown ? call : null, caller, (callId) => busy || navigate(paths.call(callId)));

  const answer = useAction(async (callId: string) => {
    try {
      await answerCall(callId);
    } catch (error) {
      toast(messageOf(error, { failed_precondition: t("over"), not_found: t("over") }), { icon: "warning" });
      if (!(error instanceof ApiError && error.transient)) hide(callId);
    }
  });
  const decline = useAction(async (callId: string) => {
    hide(callId);
    await callsApi.declineCall(api, callId);
  });

  if (!call || !caller || !shown) return null;
  return (
    <div className="ring" role="alertdialog" aria-labelledby="ring-name" aria-describedby="ring-kind" data-testid="incoming-call">
      <div className="ring-avatar">
        <Avatar name={caller.display_name} id={caller.id} size="large" />
      </div>
      <div className="ring-who">
        <Name as="strong" id="ring-name">
          {caller.display_name}
        </Name>
        <span id="ring-kind">{call.media === "video" ? t("incoming_video") : t("incoming_audio")}</span>
      </div>
      <div className="ring-actions">
        <Button look="danger" icon="hangup" onClick={() => void decline.run(call.id)} data-testid="decline-call">
          {t("decline")}
        </Button>
        <button
          type="button"
          ref={accept}
          className="button button-accept"
          disabled={answer.busy}
          onClick={() => void answer.run(call.id)}
          data-testid="accept-call"
        >
          {answer.busy ? <span className="spinner spinner-small" /> : null}
          {busy ? t("leave_and_accept") : t("accept")}
        </button>
      </div>
    </div>
  );
}
