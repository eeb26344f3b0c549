// Loudness of a microphone, for the meter and for noticing a dead one.
import { useEffect, useRef, useState } from "react";

/** Root mean square of samples in -1..1, mapped so that speech fills most of 0..1. */
export function loudness(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const rms = Math.sqrt(sum / Math.max(1, samples.length));
  if (rms <= 0) return 0;
  const decibels = 20 * Math.log10(rms);
  return Math.min(1, Math.max(0, (decibels + 60) / 50));
}

const SILENT_AFTER_MS = 5000;

/** Calls `draw` for every frame; `silent` turns true when nothing at all arrives for a while. */
export function useLevel(track: MediaStreamTrack | null, draw: (level: number) => void): { silent: boolean } {
  const [silent, setSilent] = useState(false);
  const latest = useRef(draw);
  useEffect(() => {
    latest.current = draw;
  });
  useEffect(() => {
    setSilent(false);
    if (!track) return;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    const source = context.createMediaStreamSource(new MediaStream([track]));
    source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let shown = 0;
    let heardAt = performance.now();
    let frame = 0;
    const tick = () => {
      frame = requestAnimationFrame(tick);
      // A suspended context (no click yet) measures nothing: that is not silence.
      if (context.state !== "running") {
        heardAt = performance.now();
        return;
      }
      analyser.getFloatTimeDomainData(samples);
      const level = loudness(samples);
      if (level > 0) heardAt = performance.now();
      setSilent(performance.now() - heardAt > SILENT_AFTER_MS);
      shown = level > shown ? level : shown * 0.9 + level * 0.1;
      latest.current(shown);
    };
    void context.resume().catch(() => {});
    tick();
    return () => {
      cancelAnimationFrame(frame);
      source.disconnect();
      void context.close();
      latest.current(0);
    };
  }, [track]);
  return { silent };
}
