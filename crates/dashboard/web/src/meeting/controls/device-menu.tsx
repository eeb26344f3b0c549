// The arrow beside a media button: which device it uses.
import { useId } from "react";
import { useMediaDeviceSelect } from "@livekit/components-react";
import { canChooseSpeaker, deviceLabel, type DeviceKind } from "../../prejoin/devices";
import { savePreferences, type MediaPreferences } from "../../prejoin/preferences";
import { Icon } from "../../ui/icon";
import { Popover } from "../../ui/popover";
import { useMeeting } from "../context";
import { t } from "../strings";
import { deviceProblem } from "./use-media-controls";

const remembered: Record<DeviceKind, keyof MediaPreferences> = {
  audioinput: "audioInput",
  videoinput: "videoInput",
  audiooutput: "audioOutput",
};

export function DeviceMenu({ kind }: { kind: "mic" | "cam" }) {
  const label = kind === "mic" ? t("mic_devices") : t("cam_devices");
  return (
    <Popover
      label={label}
      side="above"
      align="center"
      trigger={(props) => (
        <button type="button" className="control-arrow" aria-label={label} title={label} data-testid={`${kind}-devices`} {...props}>
          <Icon name="chevron-down" size={14} />
        </button>
      )}
    >
      {() => (
        <>
          <Devices kind={kind === "mic" ? "audioinput" : "videoinput"} title={kind === "mic" ? t("mic") : t("cam_devices")} />
          {kind === "mic" && canChooseSpeaker() && <Devices kind="audiooutput" title={t("speaker_devices")} />}
        </>
      )}
    </Popover>
  );
}

function Devices({ kind, title }: { kind: DeviceKind; title: string }) {
  const { room } = useMeeting();
  const group = useId();
  const { devices, activeDeviceId, setActiveMediaDevice } = useMediaDeviceSelect({ kind, room });
  const choose = async (deviceId: string) => {
    try {
      await setActiveMediaDevice(deviceId);
      savePreferences({ [remembered[kind]]: deviceId === "default" ? "" : deviceId });
    } catch (error) {
      deviceProblem(error, kind === "videoinput" ? "cam" : "mic");
    }
  };
  return (
    <fieldset className="devices">
      <legend>{title}</legend>
      {devices.length === 0 && <p className="devices-none">{t("system_default")}</p>}
      {devices.map((device, index) => (
        <label key={device.deviceId} className="device">
          <input
            type="radio"
            name={group}
            checked={device.deviceId === activeDeviceId}
            onChange={() => void choose(device.deviceId)}
          />
          <span>{deviceLabel(device, index)}</span>
        </label>
      ))}
    </fieldset>
  );
}
