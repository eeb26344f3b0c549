// One local track for the preview: started, restarted with another device, stopped. The tracks made
// here are handed over to the meeting, so that the camera does not blink on the way in.
import { useCallback, useEffect, useRef, useState } from "react";
import {
  createLocalAudioTrack,
  createLocalVideoTrack,
  MediaDeviceFailure,
  type LocalAudioTrack,
  type LocalVideoTrack,
} from "livekit-client";
import { audioCapture, videoCapture } from "../meeting/options";

export type PreviewProblem = "blocked" | "busy" | "missing" | "failed" | "insecure";

export interface Preview<T> {
  track: T | null;
  starting: boolean;
  problem: PreviewProblem | null;
  retry(): void;
  /** Gives the track away; it is no longer stopped with the preview. */
  release(): T | null;
}

export function problemOf(error: unknown): PreviewProblem {
  if (!navigator.mediaDevices) return "insecure";
  switch (MediaDeviceFailure.getFailure(error)) {
    case MediaDeviceFailure.PermissionDenied:
      return "blocked";
    case MediaDeviceFailure.DeviceInUse:
      return "busy";
    case MediaDeviceFailure.NotFound:
      return "missing";
    default:
      return "failed";
  }
}

/** Calls `changed` when the browser's answer for a device changes while `waiting`. */
function usePermission(name: "camera" | "microphone", waiting: boolean, changed: () => void): void {
  useEffect(() => {
    if (!waiting) return;
    let status: PermissionStatus | null = null;
    let gone = false;
    const check = () => status?.state !== "denied" && changed();
    navigator.permissions?.query({ name: name as PermissionName }).then(
      (found) => {
        if (gone) return;
        status = found;
        found.addEventListener("change", check);
      },
      // Not every browser can say: there is the button.
      () => {},
    );
    return () => {
      gone = true;
      status?.removeEventListener("change", check);
    };
  }, [name, waiting, changed]);
}

function usePreview<T extends LocalAudioTrack | LocalVideoTrack>(
  name: "camera" | "microphone",
  create: (deviceId: string) => Promise<T>,
  on: boolean,
  deviceId: string,
): Preview<T> {
  const [state, setState] = useState<{ track: T | null; starting: boolean; problem: PreviewProblem | null }>({
    track: null,
    starting: on,
    problem: null,
  });
  const [attempt, setAttempt] = useState(0);
  const current = useRef<T | null>(null);
  const released = useRef(false);

  useEffect(() => {
    if (!on) {
      setState({ track: null, starting: false, problem: null });
      return;
    }
    let gone = false;
    let mine: T | null = null;
    setState({ track: null, starting: true, problem: null });
    create(deviceId).then(
      (track) => {
        if (gone) {
          track.stop();
          return;
        }
        mine = track;
        current.current = track;
        setState({ track, starting: false, problem: null });
      },
      (error: unknown) => !gone && setState({ track: null, starting: false, problem: problemOf(error) }),
    );
    return () => {
      gone = true;
      if (!released.current) mine?.stop();
      if (current.current === mine) current.current = null;
    };
  }, [create, on, deviceId, attempt]);

  const release = useCallback(() => {
    released.current = true;
    return current.current;
  }, []);
  const retry = useCallback(() => setAttempt((count) => count + 1), []);
  usePermission(name, state.problem === "blocked", retry);
  return { ...state, retry, release };
}

const createAudio = (deviceId: string) => askBoth().then(() => createLocalAudioTrack(audioCapture(deviceId)));
const createVideo = (deviceId: string) => askBoth().then(() => createLocalVideoTrack(videoCapture(deviceId)));

export const useMicrophonePreview = (on: boolean, deviceId: string) => usePreview("microphone", createAudio, on, deviceId);
export const useCameraPreview = (on: boolean, deviceId: string) => usePreview("camera", createVideo, on, deviceId);

let asked: Promise<void> | null = null;

/** The first time, asks for both permissions in one prompt instead of two. */
function askBoth(): Promise<void> {
  asked ??= (async () => {
    try {
      const names = ["camera", "microphone"] as PermissionName[];
      const states = await Promise.all(names.map((name) => navigator.permissions.query({ name })));
      if (!states.every(({ state }) => state === "prompt")) return;
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
      for (const track of stream.getTracks()) track.stop();
    } catch {
      // Not every browser can say; each device then asks for itself and reports its own problem.
    }
  })();
  return asked;
}
