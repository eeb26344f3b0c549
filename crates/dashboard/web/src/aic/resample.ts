// Changes the sampling rate of a stream by any ratio: a windowed sinc, evaluated where each output sample falls.
// For browsers whose audio graph cannot run at the codec's 16 kHz; the others resample by themselves. Pure.

/** Zero crossings of the kernel on each side: 60 dB of stop band, 1 ms of delay at 16 kHz. */
const REACH = 16;
/** Kernel entries between two zero crossings; between entries it is interpolated. */
const STEPS = 64;

/** Half of a Kaiser-windowed sinc, from its middle outwards, as densely as `STEPS` says. */
const kernel = Float32Array.from({ length: REACH * STEPS + 2 }, (_, index) => {
  const x = index / STEPS;
  if (x >= REACH) return 0;
  const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
  return sinc * (bessel(8 * Math.sqrt(1 - (x / REACH) ** 2)) / bessel(8));
});

function bessel(x: number): number {
  let sum = 1;
  for (let k = 1, term = 1; term > sum * 1e-9; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

export class Resampler {
  private readonly step: number;
  private readonly cut: number;
  private readonly half: number;
  private held: Float32Array;
  private at: number;

  constructor(from: number, to: number) {
    this.step = from / to;
    // Downwards, what the new rate cannot hold is cut off, a little below its limit.
    this.cut = Math.min(1, to / from) * 0.94;
    this.half = Math.ceil(REACH / this.cut);
    this.held = new Float32Array(2 * this.half);
    this.at = this.half;
  }

  /** Input samples by which the output is late. */
  get delay(): number {
    return this.half;
  }

  /** The output that `input` completes. */
  push(input: Float32Array): Float32Array {
    const samples = new Float32Array(this.held.length + input.length);
    samples.set(this.held);
    samples.set(input, this.held.length);
    const count = Math.max(0, Math.ceil((samples.length - this.half - this.at) / this.step));
    const output = new Float32Array(count);
    for (let index = 0; index < count; index += 1) {
      output[index] = this.sample(samples, this.at + index * this.step);
    }
    this.at += count * this.step;
    const keepFrom = Math.min(samples.length, Math.max(0, Math.floor(this.at) - this.half));
    this.held = samples.slice(keepFrom);
    this.at -= keepFrom;
    return output;
  }

  private sample(samples: Float32Array, at: number): number {
    const first = Math.max(0, Math.ceil(at - this.half));
    const last = Math.min(samples.length - 1, Math.floor(at + this.half));
    let sum = 0;
    for (let index = first; index <= last; index += 1) {
      const x = Math.abs(index - at) * this.cut * STEPS;
      const low = Math.floor(x);
      if (low >= kernel.length - 1) continue;
      const below = kernel[low] as number;
      const above = kernel[low + 1] as number;
      sum += (samples[index] as number) * (below + (above - below) * (x - low));
    }
    return sum * this.cut;
  }
}
