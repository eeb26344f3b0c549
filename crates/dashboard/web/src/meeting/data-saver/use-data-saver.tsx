// Video while data are saved: others' at their lowest quality or not at all, one's own camera at its least. Voices are
// the codec's matter (src/aic), which the same switch turns on.
import { createContext, useContext, useEffect, useState } from "react";
import { RoomEvent, Track, VideoQuality, type RemoteTrackPublication, type Room } from "livekit-client";
import { CameraSaver } from "./camera";

const KEY = "aura.no-video";
const STEP_MS = 1000;

export interface DataSaver {
  /** Others' videos are not received at all while data are saved. */
  noVideo: boolean;
  setNoVideo(noVideo: boolean): void;
}

const DataSaverContext = createContext<DataSaver | null>(null);

export const DataSaverProvider = DataSaverContext.Provider;

export function useDataSaver(): DataSaver {
  const saver = useContext(DataSaverContext);
  if (!saver) throw new Error("used outside a meeting");
  return saver;
}

/** Asks for what is wanted of one video, once. */
export function receive(publication: RemoteTrackPublication, { saving, noVideo }: { saving: boolean; noVideo: boolean }): void {
  const wanted = !(saving && noVideo);
  if (publication.isDesired !== wanted) publication.setSubscribed(wanted);
  const quality = saving ? VideoQuality.LOW : VideoQuality.HIGH;
  if (wanted && publication.videoQuality !== quality) publication.setVideoQuality(quality);
}

/** Saves data in `room` while `saving`, as long as the caller is mounted. */
export function useDataSaving(room: Room, saving: boolean): DataSaver {
  const [noVideo, setState] = useState(() => localStorage.getItem(KEY) === "1");
  const [camera] = useState(() => new CameraSaver());
  useEffect(() => {
    const step = () => {
      for (const person of room.remoteParticipants.values()) {
        for (const publication of person.videoTrackPublications.values()) receive(publication, { saving, noVideo });
      }
      const own = room.localParticipant.getTrackPublication(Track.Source.Camera)?.track;
      void camera.step(own?.sender ?? null, saving);
    };
    step();
    for (const event of STEP_ON) room.on(event, step);
    const timer = setInterval(step, STEP_MS);
    return () => {
      for (const event of STEP_ON) room.off(event, step);
      clearInterval(timer);
    };
  }, [room, camera, saving, noVideo]);
  const setNoVideo = (next: boolean) => {
    localStorage.setItem(KEY, next ? "1" : "0");
    setState(next);
  };
  return { noVideo, setNoVideo };
}

const STEP_ON = [
  RoomEvent.Connected,
  RoomEvent.Reconnected,
  RoomEvent.TrackPublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.LocalTrackPublished,
] as const;
