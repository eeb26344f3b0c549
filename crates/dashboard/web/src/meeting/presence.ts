// Which meeting this tab is in and with what, so that a reload goes straight back as it was. Per tab, gone with it.
import type { Join } from "../api/types";
import { loadPreferences } from "../prejoin/preferences";
import type { JoinMedia } from "./options";

const KEY = "aura.in-meeting";
const DEVICES_KEY = "aura.in-meeting.devices";

/** What is on. */
export interface Devices {
  mic: boolean;
  cam: boolean;
}

export function enter(place: string): void {
  sessionStorage.setItem(KEY, place);
}

export function leavePlace(): void {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(DEVICES_KEY);
}

export const wasIn = (place: string): boolean => sessionStorage.getItem(KEY) === place;

/** Called as the page goes: what is on belongs to this meeting, not to the next one. */
export const keepDevices = ({ mic, cam }: Devices): void => sessionStorage.setItem(DEVICES_KEY, JSON.stringify({ mic, cam }));

/** Null if nothing, or nothing readable, was kept. */
export function parseDevices(text: string | null): Devices | null {
  try {
    const { mic, cam } = (JSON.parse(text ?? "null") ?? {}) as Partial<Devices>;
    return typeof mic === "boolean" && typeof cam === "boolean" ? { mic, cam } : null;
  } catch {
    return null;
  }
}

/** What somebody who reloaded comes back with; `otherwise` where nothing was kept. */
export function returningMedia(otherwise: Partial<Devices> = {}): JoinMedia {
  const preferences = loadPreferences();
  const { mic = preferences.micOn, cam = preferences.camOn } = parseDevices(sessionStorage.getItem(DEVICES_KEY)) ?? otherwise;
  return { preferences: { ...preferences, micOn: mic, camOn: cam }, audio: null, video: null };
}

// A guest's ticket: asking for another would use up the invitation and make a second person of them.
const ticketKey = (token: string) => `aura.ticket.${token}`;

export function keepTicket(token: string, join: Join): void {
  sessionStorage.setItem(ticketKey(token), JSON.stringify(join));
}

export function dropTicket(token: string): void {
  sessionStorage.removeItem(ticketKey(token));
}

export function ticket(token: string, now: number): Join | null {
  try {
    const join = JSON.parse(sessionStorage.getItem(ticketKey(token)) ?? "null") as Join | null;
    return join && Date.parse(join.expires_at) - now > 30_000 ? join : null;
  } catch {
    return null;
  }
}
