import { useEffect, useRef, useState } from "react";
import { Button } from "../ui/button";
import { t } from "./strings";

const RATE = 24_000;
const NOTES = [523.25, 659.25, 783.99];

/** A short chime as a WAV file, so that it can be sent to the chosen speaker. */
function chime(): Blob {
  const length = RATE * 1.1;
  const bytes = new DataView(new ArrayBuffer(44 + length * 2));
  const text = (offset: number, value: string) => [...value].forEach((c, i) => bytes.setUint8(offset + i, c.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + length * 2, true);
  text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);
  bytes.setUint16(22, 1, true);
  bytes.setUint32(24, RATE, true);
  bytes.setUint32(28, RATE * 2, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, "data");
  bytes.setUint32(40, length * 2, true);
  for (let i = 0; i < length; i += 1) {
    let sample = 0;
    NOTES.forEach((frequency, index) => {
      const at = i / RATE - index * 0.18;
      if (at > 0) sample += Math.sin(2 * Math.PI * frequency * at) * Math.exp(-4 * at) * Math.min(1, at * 200);
    });
    bytes.setInt16(44 + i * 2, sample * 9000, true);
  }
  return new Blob([bytes.buffer], { type: "audio/wav" });
}

export function SpeakerTest({ deviceId }: { deviceId: string }) {
  const [playing, setPlaying] = useState(false);
  const audio = useRef<HTMLAudioElement | null>(null);
  useEffect(() => () => audio.current?.pause(), []);

  const play = async () => {
    const url = URL.createObjectURL(chime());
    const element = new Audio(url);
    audio.current = element;
    const finish = () => {
      URL.revokeObjectURL(url);
      setPlaying(false);
    };
    element.onended = finish;
    element.onerror = finish;
    setPlaying(true);
    try {
      if (deviceId && "setSinkId" in element) await element.setSinkId(deviceId);
      await element.play();
    } catch {
      finish();
    }
  };

  return (
    <Button small icon="volume" onClick={() => void play()} disabled={playing} data-testid="speaker-test">
      {playing ? t("testing_speaker") : t("test_speaker")}
    </Button>
  );
}
