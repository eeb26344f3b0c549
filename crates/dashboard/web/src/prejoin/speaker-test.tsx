import { useEffect, useRef, useState } from "react";
import { Button } from "../ui/button";
import { Icon } from "../ui/icon";
import { chime, RATE, wav } from "./chime";
import { t } from "./strings";

type State = "idle" | "playing" | "failed";

export function SpeakerTest({ deviceId }: { deviceId: string }) {
  const [state, setState] = useState<State>("idle");
  const audio = useRef<HTMLAudioElement | null>(null);
  useEffect(() => () => audio.current?.pause(), []);
  useEffect(() => setState((old) => (old === "failed" ? "idle" : old)), [deviceId]);

  const play = async () => {
    setState("playing");
    const url = URL.createObjectURL(new Blob([wav(chime(), RATE)], { type: "audio/wav" }));
    const element = new Audio(url);
    audio.current = element;
    const finish = (end: State) => {
      URL.revokeObjectURL(url);
      setState(end);
    };
    element.onended = () => finish("idle");
    try {
      if (deviceId && "setSinkId" in element) await element.setSinkId(deviceId);
      await element.play();
      element.onerror = () => finish("failed");
    } catch {
      finish("failed");
    }
  };

  return (
    <>
      <Button small icon="volume" onClick={() => void play()} disabled={state === "playing"} data-testid="speaker-test">
        {state === "playing" ? t("testing_speaker") : t("test_speaker")}
      </Button>
      {state === "failed" && (
        <p className="field-error" role="status">
          <Icon name="warning" size={15} />
          {t("speaker_failed")}
        </p>
      )}
    </>
  );
}
