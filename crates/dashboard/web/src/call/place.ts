// Starting and answering calls. The join data the server hands out with the call waits here for the
// call page, so that the page need not ask again.
import * as callsApi from "../api/calls";
import { messageOf } from "../api/problem";
import type { Call, CallJoin, CallMedia, Join } from "../api/types";
import { api } from "../auth/current";
import { navigate } from "../router/router";
import { paths } from "../router/routes";
import { toast } from "../ui/toast";
import { t } from "./strings";

const waiting = new Map<string, { call: Call; join: Join }>();

function go({ call, join }: CallJoin) {
  waiting.set(call.id, { call, join });
  navigate(paths.call(call.id));
}

export function takeJoin(callId: string): { call: Call; join: Join } | undefined {
  return waiting.get(callId);
}

export function forgetJoin(callId: string): void {
  waiting.delete(callId);
}

/** Calls somebody, or says why not. */
export async function placeCall(calleeId: string, media: CallMedia): Promise<void> {
  try {
    go(await callsApi.placeCall(api, calleeId, media));
  } catch (error) {
    toast(messageOf(error, { resource_exhausted: t("too_many"), not_found: t("nobody") }), { icon: "warning" });
  }
}

export async function answerCall(callId: string): Promise<void> {
  go(await callsApi.acceptCall(api, callId));
}
