// Microphone, camera and screen, with what was asked for remembered for reconnections.
import { useState } from "react";
import { useLocalParticipant } from "@livekit/components-react";
import { MediaDeviceFailure } from "livekit-client";
import { savePreferences } from "../../prejoin/preferences";
import { toast } from "../../ui/toast";
import { useMeeting } from "../context";
import { t } from "../strings";

export function deviceProblem(error: unknown, kind: "mic" | "cam"): void {
  const reason = {
    [MediaDeviceFailure.PermissionDenied]: t("denied"),
    [MediaDeviceFailure.DeviceInUse]: t("in_use"),
    [MediaDeviceFailure.NotFound]: t("not_found"),
    [MediaDeviceFailure.Other]: t("device_failed"),
  }[MediaDeviceFailure.getFailure(error) ?? MediaDeviceFailure.Other];
  toast(kind === "mic" ? t("mic_problem", { text: reason }) : t("cam_problem", { text: reason }), { icon: "warning" });
}

export interface MediaControls {
  mic: boolean;
  cam: boolean;
  sharing: boolean;
  canShare: boolean;
  busy: { mic: boolean; cam: boolean; share: boolean };
  setMic(on: boolean): Promise<void>;
  setCam(on: boolean): Promise<void>;
  setShare(on: boolean): Promise<void>;
}

export function useMediaControls(): MediaControls {
  const { room, wanted, starting, connection } = useMeeting();
  // Without a connection there is nothing to switch: the wish is kept and carried out on (re)joining.
  const away = connection.phase === "connecting" || connection.phase === "rejoining";
  const [, redraw] = useState(0);
  const { isMicrophoneEnabled, isCameraEnabled, isScreenShareEnabled } = useLocalParticipant({ room });
  const [busy, setBusy] = useState({ mic: false, cam: false, share: false });
  const local = room.localParticipant;

  const during = async (kind: "mic" | "cam" | "share", work: () => Promise<unknown>) => {
    setBusy((old) => ({ ...old, [kind]: true }));
    try {
      await work();
    } finally {
      setBusy((old) => ({ ...old, [kind]: false }));
    }
  };

  const setMic = async (on: boolean) => {
    wanted.mic = on;
    savePreferences({ micOn: on });
    if (away) return redraw((count) => count + 1);
    await during("mic", () => local.setMicrophoneEnabled(on)).catch((error: unknown) => {
      wanted.mic = false;
      deviceProblem(error, "mic");
    });
  };
  const setCam = async (on: boolean) => {
    wanted.cam = on;
    savePreferences({ camOn: on });
    if (away) return redraw((count) => count + 1);
    await during("cam", () => local.setCameraEnabled(on)).catch((error: unknown) => {
      wanted.cam = false;
      deviceProblem(error, "cam");
    });
  };
  const setShare = async (on: boolean) => {
    await during("share", () => local.setScreenShareEnabled(on, { audio: true, contentHint: "detail" })).catch(
      (error: unknown) => {
        // Closing the browser's picker is not a failure.
        if (!(error instanceof Error && (error.name === "NotAllowedError" || error.name === "AbortError"))) {
          toast(t("share_failed"), { icon: "warning" });
        }
      },
    );
  };

  return {
    // Never shown as off while it is about to go on.
    mic: away || starting.mic ? wanted.mic : isMicrophoneEnabled,
    cam: away || starting.cam ? wanted.cam : isCameraEnabled,
    sharing: isScreenShareEnabled,
    canShare: typeof navigator.mediaDevices?.getDisplayMedia === "function",
    busy: { ...busy, mic: busy.mic || starting.mic, cam: busy.cam || starting.cam },
    setMic,
    setCam,
    setShare,
  };
}
