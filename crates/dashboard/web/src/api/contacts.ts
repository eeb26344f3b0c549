import { body, done, type Api } from "./client";
import type { Person } from "./types";

export const searchPeople = (api: Api, q: string, signal?: AbortSignal): Promise<{ items: Person[] }> =>
  body(api.GET("/api/v1/contacts/search", { params: { query: { q } }, ...(signal ? { signal } : {}) }));

export const listContacts = (api: Api): Promise<{ items: Person[] }> =>
  body(api.GET("/api/v1/contacts", { params: { query: { limit: 100 } } }));

export const addContact = (api: Api, user_id: string): Promise<Person> =>
  body(api.POST("/api/v1/contacts", { body: { user_id } }));

export const removeContact = (api: Api, user_id: string): Promise<void> =>
  done(api.DELETE("/api/v1/contacts/{user_id}", { params: { path: { user_id } } }));
