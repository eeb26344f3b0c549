// The tiles there are, in a stable order, and which of them is in focus.
import { useEffect, useState } from "react";
import { useTracks, type TrackReferenceOrPlaceholder } from "@livekit/components-react";
import { RoomEvent, Track, type Participant } from "livekit-client";
import { useMeeting } from "../context";
import { raisedAt } from "../hands";
import { tileKey } from "./focus";
import { order } from "./order";

export interface TileRef {
  key: string;
  trackRef: TrackReferenceOrPlaceholder;
  identity: string;
  screen: boolean;
  local: boolean;
  hasVideo: boolean;
  hand: number | null;
  joinedAt: number;
}

const SOURCES = [
  { source: Track.Source.Camera, withPlaceholder: true },
  { source: Track.Source.ScreenShare, withPlaceholder: false },
];

const EVENTS = [
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
  RoomEvent.ParticipantNameChanged,
  RoomEvent.ParticipantAttributesChanged,
];

export function useTiles(): TileRef[] {
  const { room } = useMeeting();
  const refs = useTracks(SOURCES, { room, onlySubscribed: false, updateOnlyOn: EVENTS });
  // Before the first connection the local participant has no identity.
  const known = refs.filter((trackRef) => trackRef.participant.identity !== "");
  const tiles = known.map((trackRef) => {
    const screen = trackRef.source === Track.Source.ScreenShare;
    const { identity, isLocal, attributes, joinedAt } = trackRef.participant;
    return {
      key: tileKey(identity, screen),
      trackRef,
      identity,
      screen,
      local: isLocal,
      hasVideo: trackRef.publication !== undefined && !trackRef.publication.isMuted,
      hand: screen ? null : raisedAt(attributes),
      joinedAt: joinedAt?.getTime() ?? 0,
    };
  });
  return order(tiles);
}

/** Whoever spoke last, held until somebody else speaks. */
export function useLastSpeaker(): string | null {
  const { room } = useMeeting();
  const [speaker, setSpeaker] = useState<string | null>(null);
  useEffect(() => {
    const changed = (speakers: Participant[]) => {
      const remote = speakers.find((participant) => !participant.isLocal);
      if (remote) setSpeaker(remote.identity);
    };
    room.on(RoomEvent.ActiveSpeakersChanged, changed);
    return () => {
      room.off(RoomEvent.ActiveSpeakersChanged, changed);
    };
  }, [room]);
  return speaker;
}

