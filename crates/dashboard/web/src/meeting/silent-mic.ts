// Notices a microphone that is on but delivers nothing at all, which is a switch on the device or the
// wrong device, not a quiet speaker: even a silent room is never exactly zero.
import { useEffect } from "react";
import { useLocalParticipant } from "@livekit/components-react";
import { toast } from "../ui/toast";
import { useMeeting } from "./context";
import { t } from "./strings";

const EVERY_MS = 500;
const SILENT_FOR_MS = 10_000;

export function useSilentMicrophone(): void {
  const { room } = useMeeting();
  const { microphoneTrack, isMicrophoneEnabled } = useLocalParticipant({ room });
  const track = isMicrophoneEnabled ? (microphoneTrack?.track?.mediaStreamTrack ?? null) : null;
  useEffect(() => {
    if (!track) return;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    const source = context.createMediaStreamSource(new MediaStream([track]));
    source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let silentMs = 0;
    const timer = setInterval(() => {
      // A suspended context measures nothing, a track being switched delivers nothing: neither counts.
      if (context.state !== "running" || !track.enabled || track.readyState !== "live") return;
      analyser.getFloatTimeDomainData(samples);
      silentMs = samples.some((sample) => sample !== 0) ? 0 : silentMs + EVERY_MS;
      if (silentMs >= SILENT_FOR_MS) {
        clearInterval(timer);
        toast(t("silent_mic"), { icon: "warning", ms: 10_000 });
      }
    }, EVERY_MS);
    return () => {
      clearInterval(timer);
      source.disconnect();
      void context.close();
    };
  }, [track]);
}
