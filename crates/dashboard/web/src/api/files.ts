// Files and share links. Uploads use XMLHttpRequest because fetch reports no upload progress.
import { body, done, reached, type Api } from "./client";
import { problemFrom, unreachable } from "./problem";
import type { Share, SharePreview, StoredFile } from "./types";

export const listRoomFiles = (api: Api, room_id: string): Promise<{ items: StoredFile[] }> =>
  body(api.GET("/api/v1/rooms/{room_id}/files", { params: { path: { room_id }, query: { limit: 100 } } }));

/** What the caller uploaded, for themselves and into rooms. */
export const listMyFiles = (api: Api): Promise<{ items: StoredFile[] }> =>
  body(api.GET("/api/v1/files", { params: { query: { in_rooms: true, limit: 100 } } }));

export const deleteFile = (api: Api, file_id: string): Promise<void> =>
  done(api.DELETE("/api/v1/files/{file_id}", { params: { path: { file_id } } }));

export const createShare = (
  api: Api,
  file_id: string,
  limits: { expires_in_s?: number; password?: string; max_downloads?: number },
): Promise<Share> => body(api.POST("/api/v1/files/{file_id}/shares", { params: { path: { file_id } }, body: limits }));

export const listShares = (api: Api, file_id: string): Promise<{ items: Share[] }> =>
  body(api.GET("/api/v1/files/{file_id}/shares", { params: { path: { file_id } } }));

export const revokeShare = (api: Api, file_id: string, share_id: string): Promise<void> =>
  done(api.DELETE("/api/v1/files/{file_id}/shares/{share_id}", { params: { path: { file_id, share_id } } }));

export const previewShare = (api: Api, token: string): Promise<SharePreview> =>
  body(api.GET("/api/v1/shares/{token}", { params: { path: { token } } }));

/** Uploads to a room, or to one's own files when `roomId` is null. */
export async function uploadFile(
  api: Api,
  roomId: string | null,
  file: globalThis.File,
  onProgress: (fraction: number) => void,
): Promise<StoredFile> {
  const path = roomId === null ? "/api/v1/files" : `/api/v1/rooms/${encodeURIComponent(roomId)}/files`;
  let token = await api.credentials.token();
  let answer = await post(path, token, file, onProgress);
  if (answer.status === 401 && token) {
    token = await api.credentials.renew(token);
    if (token) answer = await post(path, token, file, onProgress);
  }
  if (answer.status < 200 || answer.status > 299) throw problemFrom(answer.status, answer.body);
  return answer.body as StoredFile;
}

function post(path: string, token: string | null, file: globalThis.File, onProgress: (fraction: number) => void) {
  return new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "json";
    if (token) request.setRequestHeader("authorization", `Bearer ${token}`);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => resolve({ status: request.status, body: request.response as unknown });
    request.onerror = () => reject(unreachable());
    const form = new FormData();
    form.append("file", file);
    request.send(form);
  });
}

/** Fetches with the right token, then hands the bytes to the browser's own download. */
export async function downloadFile(api: Api, file: { id: string; name: string }): Promise<void> {
  save(await bytes(api.send(`/api/v1/files/${encodeURIComponent(file.id)}/content`)), file.name);
}

export async function downloadShare(api: Api, token: string, name: string, password?: string): Promise<void> {
  const answer = api.send(`/api/v1/shares/${encodeURIComponent(token)}/download`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(password ? { password } : {}),
  });
  save(await bytes(answer), name);
}

async function bytes(answer: Promise<Response>): Promise<Blob> {
  const response = await reached(answer);
  if (!response.ok) throw problemFrom(response.status, await response.json().catch(() => null));
  return reached(response.blob());
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
