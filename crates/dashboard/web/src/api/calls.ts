import { body, type Api } from "./client";
import type { Call, CallJoin, CallMedia, Join } from "./types";

const at = (call_id: string) => ({ params: { path: { call_id } } });

export const placeCall = (api: Api, callee_id: string, media: CallMedia): Promise<CallJoin> =>
  body(api.POST("/api/v1/calls", { body: { callee_id, media } }));

export const listCalls = (api: Api, limit = 30): Promise<{ items: Call[] }> =>
  body(api.GET("/api/v1/calls", { params: { query: { limit } } }));

export const getCall = (api: Api, id: string): Promise<Call> => body(api.GET("/api/v1/calls/{call_id}", at(id)));

export const acceptCall = (api: Api, id: string): Promise<CallJoin> =>
  body(api.POST("/api/v1/calls/{call_id}/accept", at(id)));

export const declineCall = (api: Api, id: string): Promise<Call> =>
  body(api.POST("/api/v1/calls/{call_id}/decline", at(id)));

export const endCall = (api: Api, id: string): Promise<Call> => body(api.POST("/api/v1/calls/{call_id}/end", at(id)));

export const joinCall = (api: Api, id: string): Promise<Join> => body(api.POST("/api/v1/calls/{call_id}/token", at(id)));
