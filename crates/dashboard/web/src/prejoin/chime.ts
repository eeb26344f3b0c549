// A short chime as a WAV file: a file, unlike an oscillator, can be sent to the speaker that was chosen. Pure.

export const RATE = 24_000;
const SECONDS = 1.1;
const NOTES = [523.25, 659.25, 783.99];
const HEADER = 44;

/** The chime's samples; the last ones have faded away. */
export function chime(): Int16Array {
  // Rounded: a fraction of a sample is no length.
  return Int16Array.from({ length: Math.round(RATE * SECONDS) }, (_, i) => {
    let sample = 0;
    NOTES.forEach((frequency, index) => {
      const at = i / RATE - index * 0.18;
      if (at > 0) sample += Math.sin(2 * Math.PI * frequency * at) * Math.exp(-4 * at) * Math.min(1, at * 200);
    });
    return sample * 9000;
  });
}

/** 16-bit mono WAV. */
export function wav(samples: Int16Array, rate: number): ArrayBuffer {
  const size = samples.length * 2;
  const bytes = new DataView(new ArrayBuffer(HEADER + size));
  const text = (offset: number, value: string) => [...value].forEach((c, i) => bytes.setUint8(offset + i, c.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, HEADER - 8 + size, true);
  text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);
  bytes.setUint16(22, 1, true);
  bytes.setUint32(24, rate, true);
  bytes.setUint32(28, rate * 2, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, "data");
  bytes.setUint32(40, size, true);
  samples.forEach((sample, index) => bytes.setInt16(HEADER + index * 2, sample, true));
  return bytes.buffer;
}
