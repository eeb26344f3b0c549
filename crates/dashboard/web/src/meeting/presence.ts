// Which meeting this tab is in, so that a reload goes straight back. Per tab, gone with it.
import type { Join } from "../api/types";

const KEY = "aura.in-meeting";

export function enter(place: string): void {
  sessionStorage.setItem(KEY, place);
}

export function leavePlace(): void {
  sessionStorage.removeItem(KEY);
}

export const wasIn = (place: string): boolean => sessionStorage.getItem(KEY) === place;

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
