// The moment before a meeting: see yourself, hear the speaker, choose devices and a name.
import { useEffect, useRef, useState, type ReactNode } from "react";
import { DISPLAY_NAME_MAX } from "../api/limits";
import type { JoinMedia } from "../meeting/options";
import { brief } from "../i18n/brief";
import { Button } from "../ui/button";
import { Field, Select } from "../ui/field";
import { Icon } from "../ui/icon";
import { Notice } from "../ui/notice";
import { canChooseSpeaker, deviceLabel, useDevices, type DeviceKind } from "./devices";
import { useLevel } from "./level";
import { loadPreferences, savePreferences, type MediaPreferences } from "./preferences";
import { useCameraPreview, useMicrophonePreview, type Preview, type PreviewProblem } from "./preview";
import { SpeakerTest } from "./speaker-test";
import { t } from "./strings";
import "./prejoin.css";

interface PrejoinProps {
  roomName: string;
  note: ReactNode;
  /** A string makes the name editable (guests); null shows no field. */
  guestName: string | null;
  userName: string | null;
  busy: boolean;
  error: string | null;
  below?: ReactNode;
  /** `take` hands over the open tracks; called only once joining has succeeded. */
  onJoin(take: () => JoinMedia, name: string): void;
}

export function Prejoin({ roomName, note, guestName, userName, busy, error, below, onJoin }: PrejoinProps) {
  const [preferences, setPreferences] = useState(loadPreferences);
  const [name, setName] = useState(guestName ?? "");
  const microphone = useMicrophonePreview(preferences.micOn, preferences.audioInput);
  const camera = useCameraPreview(preferences.camOn, preferences.videoInput);
  const started = `${microphone.track !== null} ${camera.track !== null}`;

  const change = (part: Partial<MediaPreferences>) => {
    savePreferences(part);
    setPreferences((old) => ({ ...old, ...part }));
  };

  const take = (): JoinMedia => ({
    // What could not be started is not asked for again on the way in.
    preferences: {
      ...preferences,
      micOn: preferences.micOn && microphone.problem === null,
      camOn: preferences.camOn && camera.problem === null,
    },
    audio: microphone.release(),
    video: camera.release(),
  });

  return (
    <main className="prejoin" id="content">
      <section className="prejoin-look" aria-label={t("camera")}>
        <CameraView
          track={camera.track?.mediaStreamTrack ?? null}
          starting={camera.starting}
          note={camera.problem ? t("camera_problem") : preferences.camOn ? null : t("camera_off")}
        />
        <div className="prejoin-toggles">
          <DeviceToggle
            kind="mic"
            on={preferences.micOn}
            problem={microphone.problem}
            onToggle={() => change({ micOn: !preferences.micOn })}
            onRetry={microphone.retry}
          />
          <DeviceToggle
            kind="cam"
            on={preferences.camOn}
            problem={camera.problem}
            onToggle={() => change({ camOn: !preferences.camOn })}
            onRetry={camera.retry}
          />
        </div>
      </section>

      <form
        className="prejoin-form"
        onSubmit={(event) => {
          event.preventDefault();
          onJoin(take, name.trim());
        }}
      >
        <div className="prejoin-head">
          <h1 className="name-lines" dir="auto" title={roomName}>
            {roomName}
          </h1>
          <p className="prejoin-note">{note}</p>
        </div>
        {error && <Notice kind="error">{error}</Notice>}
        <DeviceProblems camera={camera} microphone={microphone} />
        {guestName !== null && (
          <Field
            label={t("your_name")}
            hint={t("name_hint")}
            value={name}
            required
            maxLength={DISPLAY_NAME_MAX}
            autoComplete="name"
            autoFocus
            onChange={(event) => setName(event.target.value)}
            data-testid="display-name"
          />
        )}
        {userName !== null && <p className="prejoin-as">{t("as", { name: brief(userName) })}</p>}
        <div className="prejoin-device">
          <DeviceChoice kind="audioinput" label={t("microphone")} none={t(microphone.problem === "blocked" ? "not_allowed" : "no_microphone")} value={preferences.audioInput} refreshOn={started} onChange={(audioInput) => change({ audioInput })} />
          <LevelMeter track={microphone.track?.mediaStreamTrack ?? null} />
        </div>
        <DeviceChoice kind="videoinput" label={t("camera")} none={t(camera.problem === "blocked" ? "not_allowed" : "no_camera")} value={preferences.videoInput} refreshOn={started} onChange={(videoInput) => change({ videoInput })} />
        <div className="prejoin-device">
          {canChooseSpeaker() && (
            <DeviceChoice kind="audiooutput" label={t("speaker")} none={t("system_default")} value={preferences.audioOutput} refreshOn={started} onChange={(audioOutput) => change({ audioOutput })} />
          )}
          <SpeakerTest deviceId={preferences.audioOutput} />
        </div>
        <Button look="primary" type="submit" busy={busy} className="prejoin-join" data-testid="join">
          {busy ? t("joining_now") : t("join")}
        </Button>
        {below}
      </form>
    </main>
  );
}

interface DeviceToggleProps {
  kind: "mic" | "cam";
  /** It is to be on. */
  on: boolean;
  /** It is not, because it could not be started. */
  problem: PreviewProblem | null;
  onToggle(): void;
  onRetry(): void;
}

/** On, off, or not to be had; another press tries again what may be had then, and gives up what is not there. */
function DeviceToggle({ kind, on, problem, onToggle, onRetry }: DeviceToggleProps) {
  const working = on && problem === null;
  const label = problem ? t(`${kind}_problem`) : on ? t(`${kind}_on`) : t(`${kind}_off`);
  return (
    <button
      type="button"
      className="round-button"
      aria-pressed={working}
      aria-label={label}
      title={label}
      onClick={problem === "blocked" || problem === "busy" ? onRetry : onToggle}
      data-testid={kind}
      data-problem={problem ?? undefined}
    >
      <Icon name={working ? kind : `${kind}-off`} size={22} />
      {problem && (
        <span className="round-button-mark">
          <Icon name="warning" size={14} />
        </span>
      )}
    </button>
  );
}

function CameraView({ track, starting, note }: { track: MediaStreamTrack | null; starting: boolean; note: string | null }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (!element) return;
    element.srcObject = track ? new MediaStream([track]) : null;
    if (track) element.play().catch(() => {});
  }, [track]);
  return (
    <div className="prejoin-camera">
      <video ref={video} className="mirrored" muted playsInline autoPlay hidden={!track} aria-label={t("camera")} />
      {!track && (
        <p className="prejoin-camera-note">
          {starting ? <span className="spinner" /> : <Icon name="cam-off" size={28} />}
          {starting ? t("camera_starting") : note}
        </p>
      )}
    </div>
  );
}

function LevelMeter({ track }: { track: MediaStreamTrack | null }) {
  const bar = useRef<HTMLDivElement>(null);
  const { silent } = useLevel(track, (level) => {
    if (bar.current) bar.current.style.transform = `scaleX(${level.toFixed(3)})`;
  });
  return (
    <>
      <div className="level" role="img" aria-label={t("level")} data-testid="level-meter">
        <div className="level-bar" ref={bar} />
      </div>
      {silent && (
        <p className="field-error" role="status">
          <Icon name="warning" size={15} />
          {t("silent")}
        </p>
      )}
    </>
  );
}

interface DeviceChoiceProps {
  kind: DeviceKind;
  label: string;
  none: string;
  value: string;
  refreshOn: unknown;
  onChange(deviceId: string): void;
}

function DeviceChoice({ kind, label, none, value, refreshOn, onChange }: DeviceChoiceProps) {
  const devices = useDevices(kind, refreshOn);
  const options = devices
    .filter((device) => device.deviceId !== "default")
    .map((device, index) => ({ value: device.deviceId, label: deviceLabel(device, index) }));
  const known = options.some((option) => option.value === value);
  return (
    <Select
      label={label}
      value={known ? value : ""}
      disabled={options.length === 0}
      onChange={onChange}
      options={[{ value: "", label: options.length === 0 ? none : t("system_default") }, ...options]}
    />
  );
}

type Faulty = Pick<Preview<unknown>, "problem" | "retry">;

/** What is wrong and what to do; in one sentence where it is the same with both. */
function DeviceProblems({ camera, microphone }: { camera: Faulty; microphone: Faulty }) {
  if (camera.problem !== null && camera.problem === microphone.problem) {
    const retry = () => {
      camera.retry();
      microphone.retry();
    };
    return <DeviceProblem problem={camera.problem} device="the_both" retry={retry} />;
  }
  return (
    <>
      {camera.problem && <DeviceProblem problem={camera.problem} device="the_camera" retry={camera.retry} />}
      {microphone.problem && <DeviceProblem problem={microphone.problem} device="the_microphone" retry={microphone.retry} />}
    </>
  );
}

interface DeviceProblemProps {
  problem: PreviewProblem;
  device: "the_camera" | "the_microphone" | "the_both";
  retry(): void;
}

function DeviceProblem({ problem, device, retry }: DeviceProblemProps) {
  const text = problem === "insecure" ? t("insecure") : t(problem, { device: t(device) });
  return (
    <Notice
      kind="warning"
      action={
        <Button small onClick={retry}>
          {t("retry")}
        </Button>
      }
    >
      {text}
    </Notice>
  );
}
