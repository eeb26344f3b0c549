// /call/:id from the first ring to the goodbye. The server says where the call stands; this page
// joins the call's room, shows it, and hangs up.
import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import * as callsApi from "../api/calls";
import { ApiError, messageOf } from "../api/problem";
import type { Call, Join } from "../api/types";
import { api, useUser } from "../auth/current";
import { brief } from "../i18n/brief";
import { duration } from "../i18n/time";
import { Meeting } from "../meeting/meeting";
import type { JoinMedia } from "../meeting/options";
import { enter, leavePlace, returningMedia, wasIn } from "../meeting/presence";
import { usePush, useRealtimeReady } from "../realtime/current";
import { paths } from "../router/routes";
import { MessagePage, NotFoundPage } from "../shell/message-page";
import { Avatar } from "../ui/avatar";
import { Button, LinkButton } from "../ui/button";
import { Spinner } from "../ui/notice";
import { useAction } from "../ui/resource";
import { useTitle } from "../ui/title";
import { toast } from "../ui/toast";
import { isOver, other, reduce, start, view, type CallView, type Outcome } from "./call-state";
import { forgetJoin, placeCall, takeJoin } from "./place";
import { t } from "./strings";
import { ringback } from "./tones";
import "./call.css";

export function CallPage({ id }: { id: string }) {
  const [ready, setReady] = useState<{ call: Call; join: Join | null } | null>(() => takeJoin(id) ?? null);
  const [error, setError] = useState<unknown>(null);
  const me = useUser();
  const load = useCallback(async () => {
    setError(null);
    try {
      const call = await callsApi.getCall(api, id);
      // After a reload the call goes on; somebody who is being called decides first.
      const joining = call.status === "active" || (call.caller.id === me.id && !isOver(call));
      setReady({ call, join: joining ? await callsApi.joinCall(api, id) : null });
    } catch (failure) {
      setError(failure);
    }
  }, [id, me.id]);

  useEffect(() => {
    if (!ready) void load();
    return () => forgetJoin(id);
  }, [id]);

  if (error instanceof ApiError && !error.transient) return <NotFoundPage />;
  if (error) {
    return (
      <MessagePage icon="warning" title={t("failed")} text={messageOf(error)}>
        <LinkButton to={paths.home}>{t("back_home")}</LinkButton>
      </MessagePage>
    );
  }
  if (!ready) {
    return (
      <div className="page-spinner">
        <Spinner label={t("loading")} />
      </div>
    );
  }
  return <CallVisit first={ready.call} ticket={ready.join} />;
}

function CallVisit({ first, ticket }: { first: Call; ticket: Join | null }) {
  const me = useUser();
  const person = other(first, me.id);
  const [state, dispatch] = useReducer(reduce, undefined, () => start(first, ticket !== null));
  const [join, setJoin] = useState<Join | null>(ticket);
  const place = `call:${first.id}`;
  const [media] = useState<JoinMedia>(() => mediaFor(first, wasIn(place)));
  const [elsewhere, setElsewhere] = useState(false);
  const now = view(state, me.id);
  const id = first.id;
  useTitle(person.display_name);

  usePush("call_updated", (call) => dispatch({ type: "report", call }));
  usePolling(id, !isOver(state.call), (call) => dispatch({ type: "report", call }));

  const inside = join !== null && now.phase !== "incoming" && now.phase !== "ended";
  useEffect(() => {
    if (!inside) return;
    enter(place);
    return leavePlace;
  }, [inside, place]);

  const ringing = now.phase === "ringing";
  useEffect(() => (ringing ? ringback() : undefined), [ringing]);

  const hangUp = () => {
    dispatch({ type: "left" });
    callsApi.endCall(api, id).then(
      (call) => dispatch({ type: "report", call }),
      () => {}, // The server notices by itself that this person has left.
    );
  };
  const accept = useAction(async () => {
    const answer = await callsApi.acceptCall(api, id);
    setJoin(answer.join);
    dispatch({ type: "joining" });
    dispatch({ type: "report", call: answer.call });
  });
  const decline = useAction(async () => {
    dispatch({ type: "report", call: await callsApi.declineCall(api, id) });
  });
  const problem = accept.error ?? decline.error;
  useEffect(() => {
    if (problem) toast(messageOf(problem, { failed_precondition: t("over"), not_found: t("over") }), { icon: "warning" });
  }, [problem]);

  if (now.phase === "ended") {
    return <CallEnded call={first} view={now} mine={first.caller.id === me.id} elsewhere={elsewhere && !isOver(state.call)} />;
  }
  if (now.phase === "incoming" || !join) {
    return (
      <main className="call-screen" id="content">
        <Avatar name={person.display_name} id={person.id} size="large" />
        <h1 className="name-lines" dir="auto" title={person.display_name}>
          {person.display_name}
        </h1>
        <p data-testid="call-status" data-phase={now.phase}>
          {t("accept_here", { name: brief(person.display_name) })}
        </p>
        <div className="call-choices">
          <Button look="danger" icon="hangup" busy={decline.busy} onClick={() => void decline.run()} data-testid="decline-call">
            {t("decline")}
          </Button>
          <button type="button" className="button button-accept" disabled={accept.busy} onClick={() => void accept.run()} data-testid="accept-call">
            {t("accept")}
          </button>
        </div>
      </main>
    );
  }
  return (
    <Meeting
      kind="call"
      join={join}
      rejoin={() => callsApi.joinCall(api, id)}
      media={media}
      api={api}
      title={person.display_name}
      ownerId={null}
      counting={now.phase === "in-call"}
      leaveLabel={now.phase === "in-call" || now.phase === "connecting" ? t("hang_up") : t("cancel")}
      onInvite={null}
      onTogether={(together) => dispatch({ type: "together", together })}
      onEnded={(reason) => {
        if (reason === "left") hangUp();
        else {
          setElsewhere(reason === "elsewhere");
          dispatch({ type: "left" });
        }
      }}
      alone={<Waiting person={person} view={now} />}
    >
      <p className="visually-hidden" role="status" data-testid="call-status" data-phase={now.phase}>
        {statusText(now, brief(person.display_name))}
      </p>
    </Meeting>
  );
}

/** As the call asks for; after a reload, as it was. */
function mediaFor(call: Call, returning: boolean): JoinMedia {
  if (!returning) leavePlace();
  return returningMedia({ mic: true, cam: call.media === "video" });
}

function statusText(now: CallView, name: string): string {
  switch (now.phase) {
    case "calling":
      return t("calling", { name });
    case "ringing":
      return t("ringing");
    case "connecting":
      return t("connecting");
    case "in-call":
      return t("in_call", { name });
    default:
      return "";
  }
}

/** What the stage shows until the other person is there. */
function Waiting({ person, view: now }: { person: Call["callee"]; view: CallView }) {
  const lost = useRef(false);
  if (now.phase === "in-call") lost.current = true;
  return (
    <div className="call-waiting">
      <span className={now.phase === "ringing" ? "call-pulse call-pulsing" : "call-pulse"}>
        <Avatar name={person.display_name} id={person.id} size="large" />
      </span>
      <strong className="name-lines" dir="auto" title={person.display_name}>
        {person.display_name}
      </strong>
      <span>
        {lost.current && now.phase === "connecting"
          ? t("waiting_return", { name: brief(person.display_name) })
          : statusText(now, brief(person.display_name))}
      </span>
    </div>
  );
}

/** News of the call while the push channel is away, and a second opinion now and then. */
function usePolling(id: string, running: boolean, report: (call: Call) => void) {
  const pushed = useRealtimeReady();
  const latest = useRef(report);
  useEffect(() => {
    latest.current = report;
  });
  useEffect(() => {
    if (!running) return;
    const fetchOnce = () => callsApi.getCall(api, id).then((call) => latest.current(call), () => {});
    void fetchOnce();
    const timer = setInterval(() => void fetchOnce(), pushed ? 15_000 : 3000);
    return () => clearInterval(timer);
  }, [id, running, pushed]);
}

const sentences: Record<Outcome, (name: string, mine: boolean) => string> = {
  ended: () => t("ended"),
  declined: (name, mine) => (mine ? t("declined", { name }) : t("declined_by_me")),
  "no-answer": (name) => t("no_answer", { name }),
  missed: () => t("missed"),
  cancelled: () => t("cancelled"),
  failed: () => t("failed"),
};

interface CallEndedProps {
  call: Call;
  view: Extract<CallView, { phase: "ended" }>;
  mine: boolean;
  /** The call goes on, on another device. */
  elsewhere: boolean;
}

function CallEnded({ call, view: now, mine, elsewhere }: CallEndedProps) {
  const person = mine ? call.callee : call.caller;
  const again = useAction(async () => {
    await placeCall(person.id, call.media);
  });
  const text = elsewhere
    ? t("elsewhere")
    : now.outcome === "ended" && now.seconds !== null
      ? t("ended_after", { time: duration(now.seconds) })
      : sentences[now.outcome](brief(person.display_name), mine);
  return (
    <main className="call-screen" id="content">
      <Avatar name={person.display_name} id={person.id} size="large" />
      <h1 className="name-lines" dir="auto" title={person.display_name}>
        {person.display_name}
      </h1>
      <p role="status" data-testid="call-status" data-phase="ended" data-outcome={now.outcome}>
        {text}
      </p>
      <div className="call-choices">
        <LinkButton to={paths.home}>{t("back_home")}</LinkButton>
        <Button look="primary" icon={call.media === "video" ? "cam" : "phone"} busy={again.busy} onClick={() => void again.run()} data-testid="call-again">
          {now.outcome === "missed" ? t("call_back") : t("call_again")}
        </Button>
      </div>
    </main>
  );
}
