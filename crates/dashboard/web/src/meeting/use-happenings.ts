// What the others do, as short messages: who comes and goes, raised hands, a shared screen.
import { useEffect, useRef } from "react";
import { RoomEvent, Track, type Participant, type RemoteParticipant, type RemoteTrackPublication, type TrackPublication } from "livekit-client";
import { brief } from "../i18n/brief";
import { toast } from "../ui/toast";
import { nameOf, useMeeting } from "./context";
import { HAND_ATTRIBUTE, raisedAt } from "./hands";
import { t } from "./strings";

/** In larger meetings coming and going is noise. */
const QUIET_ABOVE = 12;

export function useHappenings(): void {
  const { room, kind, wanted } = useMeeting();
  const connectedAt = useRef(0);
  useEffect(() => {
    const crowded = () => kind === "call" || room.remoteParticipants.size > QUIET_ABOVE;
    // A new connection tells again of all that was there before.
    const quiet = () => crowded() || Date.now() - connectedAt.current < 2000;
    const isNew = (person: Participant) => (person.joinedAt?.getTime() ?? 0) >= (room.localParticipant.joinedAt?.getTime() ?? 0);
    const connected = () => {
      connectedAt.current = Date.now();
    };
    const came = (person: RemoteParticipant) => {
      if (!crowded() && isNew(person)) toast(t("joined", { name: brief(nameOf(person)) }), { icon: "person", ms: 3500 });
    };
    const went = (person: RemoteParticipant) => {
      if (!quiet()) toast(t("left_room", { name: brief(nameOf(person)) }), { icon: "leave", ms: 3500 });
    };
    const attributes = (changed: Record<string, string>, person: Participant) => {
      if (person.isLocal || !(HAND_ATTRIBUTE in changed) || raisedAt(person.attributes) === null) return;
      toast(t("hand_raised", { name: brief(nameOf(person)) }), { icon: "hand" });
    };
    const published = (publication: RemoteTrackPublication, person: RemoteParticipant) => {
      if (publication.source === Track.Source.ScreenShare && !quiet()) {
        toast(t("starts_sharing", { name: brief(nameOf(person)) }), { icon: "screen", ms: 3500 });
      }
    };
    const muted = (publication: TrackPublication, person: Participant) => {
      // Not asked for here: the host did it.
      if (person.isLocal && publication.source === Track.Source.Microphone && wanted.mic) {
        toast(t("muted_by_host"), { icon: "mic-off" });
      }
    };
    room
      .on(RoomEvent.Connected, connected)
      .on(RoomEvent.Reconnected, connected)
      .on(RoomEvent.ParticipantConnected, came)
      .on(RoomEvent.ParticipantDisconnected, went)
      .on(RoomEvent.ParticipantAttributesChanged, attributes)
      .on(RoomEvent.TrackPublished, published)
      .on(RoomEvent.TrackMuted, muted);
    return () => {
      room
        .off(RoomEvent.Connected, connected)
        .off(RoomEvent.Reconnected, connected)
        .off(RoomEvent.ParticipantConnected, came)
        .off(RoomEvent.ParticipantDisconnected, went)
        .off(RoomEvent.ParticipantAttributesChanged, attributes)
        .off(RoomEvent.TrackPublished, published)
        .off(RoomEvent.TrackMuted, muted);
    };
  }, [room, kind, wanted]);
}
