// The list of devices, refreshed when something is plugged in or a permission is granted.
import { useEffect, useState } from "react";
import { t } from "./strings";

export type DeviceKind = "audioinput" | "videoinput" | "audiooutput";

export function useDevices(kind: DeviceKind, refreshOn: unknown): MediaDeviceInfo[] {
  const [devices, setDevices] = useState<MediaDeviceInfo[]>([]);
  useEffect(() => {
    const media = navigator.mediaDevices;
    if (!media?.enumerateDevices) return;
    let gone = false;
    const refresh = () => {
      media.enumerateDevices().then(
        // Before permission is given the entries have empty ids: nothing to choose from.
        (all) => !gone && setDevices(all.filter((device) => device.kind === kind && device.deviceId !== "")),
        () => {},
      );
    };
    refresh();
    media.addEventListener("devicechange", refresh);
    return () => {
      gone = true;
      media.removeEventListener("devicechange", refresh);
    };
  }, [kind, refreshOn]);
  return devices;
}

const kindName = { audioinput: "microphone", videoinput: "camera", audiooutput: "speaker" } as const;

export function deviceLabel(device: MediaDeviceInfo, index: number): string {
  return device.label || t("device_number", { kind: t(kindName[device.kind]), number: index + 1 });
}

export const canChooseSpeaker = (): boolean => "setSinkId" in HTMLMediaElement.prototype;
