// The typed HTTP client. Types come from the OpenAPI document; this file adds the bearer token, one
// retry after a refresh, and turns refusals into ApiError.
import createClient, { type Client } from "openapi-fetch";
import { ApiError, problemFrom, unreachable } from "./problem";
import type { paths } from "./schema";

export interface Credentials {
  /** The token to send, or null to send none. */
  token(): Promise<string | null>;
  /** Called once after a 401 for `rejected`; a different token is tried, null gives up. */
  renew(rejected: string): Promise<string | null>;
}

export type Api = Client<paths, `${string}/${string}`> & { credentials: Credentials; send: typeof fetch };

type Send = (request: Request) => Promise<Response>;

/** `fetch` with the bearer token and at most one retry. */
export function authorized(credentials: Credentials, send: Send = (request) => fetch(request)): Send {
  return async (request) => {
    const token = await credentials.token();
    const retry = token ? request.clone() : null;
    if (token) request.headers.set("authorization", `Bearer ${token}`);
    const response = await send(request);
    if (response.status !== 401 || !token || !retry) return response;
    const renewed = await credentials.renew(token);
    if (!renewed || renewed === token) return response;
    retry.headers.set("authorization", `Bearer ${renewed}`);
    return send(retry);
  };
}

/** Longer than any answer the server means to give; file transfers are not limited. */
const TIMEOUT_MS = 20_000;

function timed(send: Send): Send {
  return (request) =>
    send(new Request(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)]) }));
}

export function createApi(credentials: Credentials): Api {
  const send = authorized(credentials);
  const client = createClient<paths>({ baseUrl: location.origin, fetch: timed(send), credentials: "same-origin" });
  const fetchLike = (input: RequestInfo | URL, init?: RequestInit) => send(new Request(input, init));
  return Object.assign(client, { credentials, send: fetchLike });
}

/** For pages that need no account. */
export function createPublicApi(): Api {
  return createApi({ token: async () => null, renew: async () => null });
}

/** For guests: one token, valid for one room, that cannot be renewed. */
export function createGuestApi(token: string): Api {
  return createApi({ token: async () => token, renew: async () => null });
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a good answer; throws ApiError otherwise. */
export async function body<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await reached(answer);
  if (!response.ok) throw problemFrom(response.status, error);
  return data as T;
}

/** For answers without a body. */
export async function done(answer: Promise<Answer<unknown>>): Promise<void> {
  await body(answer);
}

export async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw unreachable();
  }
}
