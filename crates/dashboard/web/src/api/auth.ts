// Accounts. These calls never go through the refreshing client: they are what it refreshes with.
import { body, done, type Api } from "./client";
import type { Session, User } from "./types";

export const register = (api: Api, account: { email: string; password: string; display_name: string }): Promise<Session> =>
  body(api.POST("/api/v1/auth/register", { body: { ...account, use_cookie: true } }));

export const login = (api: Api, account: { email: string; password: string }): Promise<Session> =>
  body(api.POST("/api/v1/auth/login", { body: { ...account, use_cookie: true } }));

export const refresh = (api: Api): Promise<Session> =>
  body(api.POST("/api/v1/auth/refresh", { body: { use_cookie: true } }));

export const logout = (api: Api): Promise<void> => done(api.POST("/api/v1/auth/logout", { body: {} }));

export const updateMe = (api: Api, change: { display_name: string }): Promise<User> =>
  body(api.PATCH("/api/v1/auth/me", { body: change }));
