import { body, done, type Api } from "./client";
import type { Invite, InvitePreview, Join, Message, RemovedPerson, Room } from "./types";

export const listRooms = (api: Api): Promise<{ items: Room[] }> =>
  body(api.GET("/api/v1/rooms", { params: { query: { limit: 100 } } }));

export const getRoom = (api: Api, room_id: string): Promise<Room> =>
  body(api.GET("/api/v1/rooms/{room_id}", { params: { path: { room_id } } }));

export const createRoom = (api: Api, name: string): Promise<Room> => body(api.POST("/api/v1/rooms", { body: { name } }));

export const updateRoom = (api: Api, room_id: string, change: { name?: string; guests_allowed?: boolean }): Promise<Room> =>
  body(api.PATCH("/api/v1/rooms/{room_id}", { params: { path: { room_id } }, body: change }));

export const deleteRoom = (api: Api, room_id: string): Promise<void> =>
  done(api.DELETE("/api/v1/rooms/{room_id}", { params: { path: { room_id } } }));

export const joinRoom = (api: Api, room_id: string): Promise<Join> =>
  body(api.POST("/api/v1/rooms/{room_id}/token", { params: { path: { room_id } }, body: {} }));

export const createInvite = (
  api: Api,
  room_id: string,
  limits: { expires_in_s?: number; max_uses?: number } = {},
): Promise<Invite> => body(api.POST("/api/v1/rooms/{room_id}/invites", { params: { path: { room_id } }, body: limits }));

export const listInvites = (api: Api, room_id: string): Promise<{ items: Invite[] }> =>
  body(api.GET("/api/v1/rooms/{room_id}/invites", { params: { path: { room_id } } }));

export const revokeInvite = (api: Api, room_id: string, invite_id: string): Promise<void> =>
  done(api.DELETE("/api/v1/rooms/{room_id}/invites/{invite_id}", { params: { path: { room_id, invite_id } } }));

export const previewInvite = (api: Api, token: string): Promise<InvitePreview> =>
  body(api.GET("/api/v1/invites/{token}", { params: { path: { token } } }));

export const acceptInvite = (api: Api, token: string, display_name?: string): Promise<Join> =>
  body(
    api.POST("/api/v1/invites/{token}/join", {
      params: { path: { token } },
      body: display_name === undefined ? {} : { display_name },
    }),
  );

export const removeParticipant = (api: Api, room_id: string, identity: string): Promise<void> =>
  done(api.DELETE("/api/v1/rooms/{room_id}/participants/{identity}", { params: { path: { room_id, identity } } }));

export const listRemoved = (api: Api, room_id: string): Promise<{ items: RemovedPerson[] }> =>
  body(api.GET("/api/v1/rooms/{room_id}/removed", { params: { path: { room_id } } }));

export const letBackIn = (api: Api, room_id: string, identity: string): Promise<void> =>
  done(api.DELETE("/api/v1/rooms/{room_id}/removed/{identity}", { params: { path: { room_id, identity } } }));

export const muteParticipant = (api: Api, room_id: string, identity: string, track_sid: string): Promise<void> =>
  done(
    api.POST("/api/v1/rooms/{room_id}/participants/{identity}/mute", {
      params: { path: { room_id, identity } },
      body: { track_sid, muted: true },
    }),
  );

export const listMessages = (api: Api, room_id: string): Promise<{ items: Message[] }> =>
  body(api.GET("/api/v1/rooms/{room_id}/messages", { params: { path: { room_id }, query: { limit: 100 } } }));

export const saveMessage = (api: Api, room_id: string, message: { id: string; text: string }): Promise<Message> =>
  body(api.POST("/api/v1/rooms/{room_id}/messages", { params: { path: { room_id } }, body: message }));
