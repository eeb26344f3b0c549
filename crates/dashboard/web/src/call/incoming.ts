// Calls that ring for the signed-in user, from pushes and, after every (re)connection, from the
// server's list. Hidden ones are those answered or declined here before the server said so.
import { useEffect, useState } from "react";
import * as callsApi from "../api/calls";
import type { Call } from "../api/types";
import { api } from "../auth/current";
import { useCaughtUp, usePush } from "../realtime/current";
import { ringsFor, upsert } from "./call-state";

export function useIncoming(me: string): { call: Call | null; hide(id: string): void } {
  const [calls, setCalls] = useState<Call[]>([]);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());

  const catchUp = () => {
    callsApi.listCalls(api, 10).then(
      ({ items }) => setCalls((known) => items.reduce(upsert, known)),
      () => {},
    );
  };
  useEffect(catchUp, []);
  useCaughtUp(catchUp);
  usePush("call_updated", (call) => setCalls((known) => upsert(known, call)));

  const call = calls.find((candidate) => ringsFor(candidate, me) && !hidden.has(candidate.id)) ?? null;
  const ringing = call?.id;

  // A lost push must not leave a phone ringing for ever.
  useEffect(() => {
    if (!ringing) return;
    const timer = setInterval(() => {
      callsApi.getCall(api, ringing).then(
        (report) => setCalls((known) => upsert(known, report)),
        () => {},
      );
    }, 5000);
    return () => clearInterval(timer);
  }, [ringing]);

  return { call, hide: (id) => setHidden((known) => new Set(known).add(id)) };
}
