import { describe, expect, it } from "vitest";
import { Resampler } from "./resample";

const tone = (rate: number, hertz: number, seconds: number) =>
  Float32Array.from({ length: rate * seconds }, (_, index) => Math.sin((2 * Math.PI * hertz * index) / rate));

/** In pieces of 128, as an audio graph delivers. */
function through(from: number, to: number, input: Float32Array): number[] {
  const resampler = new Resampler(from, to);
  const output: number[] = [];
  for (let at = 0; at + 128 <= input.length; at += 128) output.push(...resampler.push(input.subarray(at, at + 128)));
  return output;
}

const power = (samples: number[]) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;

/** Amplitude of one frequency, and the power of all the rest beside it in dB. */
function measured(samples: number[], rate: number, hertz: number): { amplitude: number; restDb: number } {
  let [a, b] = [0, 0];
  const phase = (index: number) => (2 * Math.PI * hertz * index) / rate;
  samples.forEach((sample, index) => {
    a += (2 / samples.length) * sample * Math.cos(phase(index));
    b += (2 / samples.length) * sample * Math.sin(phase(index));
  });
  const rest = samples.map((sample, index) => sample - a * Math.cos(phase(index)) - b * Math.sin(phase(index)));
  return { amplitude: Math.hypot(a, b), restDb: 10 * Math.log10(power(rest) / power(samples)) };
}

describe("resampling", () => {
  it.each([
    [48_000, 16_000],
    [44_100, 16_000],
    [16_000, 48_000],
    [16_000, 44_100],
  ])("keeps a tone from %i to %i", (from, to) => {
    const output = through(from, to, tone(from, 1000, 1));
    expect(Math.abs(output.length - to)).toBeLessThan(to / 100);
    const { amplitude, restDb } = measured(output.slice(to / 5, (to * 4) / 5), to, 1000);
    expect(amplitude).toBeCloseTo(1, 2);
    expect(restDb).toBeLessThan(-55);
  });

  it("lets nothing fold back into the new band", () => {
    const output = through(48_000, 16_000, tone(48_000, 9500, 1)).slice(2000);
    expect(10 * Math.log10(power(output))).toBeLessThan(-50);
  });
});
