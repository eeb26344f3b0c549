// The sounds of a call, made on the spot: nothing to download, nothing to licence.

type Note = { frequency: number; at: number; length: number };

const RING: Note[] = [
  { frequency: 587.33, at: 0, length: 0.22 },
  { frequency: 739.99, at: 0.2, length: 0.22 },
  { frequency: 880, at: 0.4, length: 0.5 },
];
const RINGBACK: Note[] = [{ frequency: 425, at: 0, length: 1 }];

function play(context: AudioContext, notes: Note[], volume: number) {
  for (const { frequency, at, length } of notes) {
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    const start = context.currentTime + at;
    oscillator.frequency.value = frequency;
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(volume, start + 0.02);
    gain.gain.setValueAtTime(volume, start + length * 0.6);
    gain.gain.linearRampToValueAtTime(0, start + length);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(start);
    oscillator.stop(start + length);
  }
}

/** Repeats until the returned function is called. Browsers may keep it silent before a first click. */
function repeat(notes: Note[], everyMs: number, volume: number): () => void {
  const context = new AudioContext();
  const once = () => context.state === "running" && play(context, notes, volume);
  void context.resume().then(once, () => {});
  const timer = setInterval(once, everyMs);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}

export const ring = () => repeat(RING, 2400, 0.16);
export const ringback = () => repeat(RINGBACK, 4000, 0.05);
