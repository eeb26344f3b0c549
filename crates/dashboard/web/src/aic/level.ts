// How loud a stream is, and whether that is somebody speaking. Pure.

/** Root mean square of what was added since it was last taken. */
export class Level {
  private sum = 0;
  private count = 0;

  add(samples: Float32Array): void {
    for (const sample of samples) this.sum += sample * sample;
    this.count += samples.length;
  }

  take(): number {
    const level = this.count > 0 ? Math.sqrt(this.sum / this.count) : 0;
    this.sum = 0;
    this.count = 0;
    return level;
  }
}

/** As the SFU judges RTP's levels: speech is above −40 dB, and a pause between words does not end it. */
const LOUD = 0.01;
const HOLD_MS = 400;

export class Speaking {
  private loudAt = Number.NEGATIVE_INFINITY;

  /** Whether somebody speaks at `now`, in milliseconds. */
  step(level: number, now: number): boolean {
    if (level >= LOUD) this.loudAt = now;
    return now - this.loudAt < HOLD_MS;
  }
}
