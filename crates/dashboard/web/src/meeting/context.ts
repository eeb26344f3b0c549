// What every part of a meeting needs to know about it.
import { createContext, useContext } from "react";
import type { Room } from "livekit-client";
import type { Api } from "../api/client";
import type { Connection } from "./connection";
import type { Devices } from "./presence";

export type MeetingKind = "room" | "call";
export type PanelName = "chat" | "people" | "files";

export interface MeetingValue {
  kind: MeetingKind;
  room: Room;
  connection: Connection;
  title: string;
  identity: string;
  role: string;
  /** The room's id for messages and files; null in calls, which keep neither. */
  roomId: string | null;
  api: Api;
  /** Identity of the room's owner, where it is known. */
  ownerId: string | null;
  wanted: Devices;
  /** What is about to go on by itself, after joining. */
  starting: Devices;
  leave(): void;
}

const MeetingContext = createContext<MeetingValue | null>(null);

export const MeetingProvider = MeetingContext.Provider;

export function useMeeting(): MeetingValue {
  const meeting = useContext(MeetingContext);
  if (!meeting) throw new Error("used outside a meeting");
  return meeting;
}

/** A name to show; clients other than ours may leave it empty. */
export const nameOf = (participant: { name?: string | undefined; identity: string }): string =>
  participant.name || participant.identity;

export const isGuest = (identity: string): boolean => identity.startsWith("guest-");
