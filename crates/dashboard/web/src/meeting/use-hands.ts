import { useParticipants } from "@livekit/components-react";
import { RoomEvent, type Participant } from "livekit-client";
import { useMeeting } from "./context";
import { HAND_ATTRIBUTE, handQueue, raisedAt } from "./hands";

const EVENTS = [RoomEvent.ParticipantAttributesChanged, RoomEvent.ParticipantNameChanged];

export interface Hands {
  queue: Participant[];
  raised: boolean;
  toggle(): void;
}

export function useHands(): Hands {
  const { room } = useMeeting();
  const people = useParticipants({ room, updateOnlyOn: EVENTS });
  const local = room.localParticipant;
  const raised = raisedAt(local.attributes) !== null;
  const toggle = () => {
    // An empty value deletes the attribute.
    local.setAttributes({ [HAND_ATTRIBUTE]: raised ? "" : String(Date.now()) }).catch(() => {});
  };
  return { queue: handQueue(people), raised, toggle };
}
