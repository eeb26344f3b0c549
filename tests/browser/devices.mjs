// Camera and microphone of one person, as files for Chromium's fake devices: a picture in that person's colour with a
// stripe that moves, and that person's tone, on and off. tests/faces.json says which; probe.js tells them apart.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const faces = JSON.parse(readFileSync(new URL('../faces.json', import.meta.url), 'utf8'));

const [WIDTH, HEIGHT, FPS] = [640, 360, 15];
const RATE = 48_000;
// Noise suppression takes a steady tone for noise: a voice has pauses.
const [ON_MS, PERIOD_MS] = [250, 400];

/** One second of picture, as YUV4MPEG2. Only brightness moves: the colour is the person's everywhere. */
function picture(face) {
  const { luma: [dark, bright], chroma } = faces;
  const angle = (2 * Math.PI * face) / faces.tones_hz.length;
  const quarter = (WIDTH / 2) * (HEIGHT / 2);
  const u = Buffer.alloc(quarter, Math.round(128 + chroma * Math.cos(angle)));
  const v = Buffer.alloc(quarter, Math.round(128 + chroma * Math.sin(angle)));
  const parts = [Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F${FPS}:1 Ip A1:1 C420\n`)];
  for (let frame = 0; frame < FPS; frame += 1) {
    const row = Buffer.alloc(WIDTH, dark);
    const at = Math.round((WIDTH * frame) / FPS);
    row.fill(bright, at, Math.min(WIDTH, at + WIDTH / 4));
    parts.push(Buffer.from('FRAME\n'), ...Array(HEIGHT).fill(row), u, v);
  }
  return Buffer.concat(parts);
}

/** Four seconds of tone, as WAV. */
function tone(hz) {
  const samples = RATE * 4;
  const wav = Buffer.alloc(44 + samples * 2);
  wav.write('RIFF', 0);
  wav.writeUInt32LE(36 + samples * 2, 4);
  wav.write('WAVEfmt ', 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(RATE, 24);
  wav.writeUInt32LE(RATE * 2, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36);
  wav.writeUInt32LE(samples * 2, 40);
  for (let at = 0; at < samples; at += 1) {
    const ms = ((at / RATE) * 1000) % PERIOD_MS;
    const loudness = ms < ON_MS ? Math.min(1, ms / 10, (ON_MS - ms) / 10) : 0;
    wav.writeInt16LE(Math.round(14_000 * loudness * Math.sin((2 * Math.PI * hz * at) / RATE)), 44 + at * 2);
  }
  return wav;
}

// The same for every run of this file, and some megabytes each: made once.
const folder = join(tmpdir(), `auralink-faces-${digest()}`);

function digest() {
  const hash = createHash('sha256').update(JSON.stringify(faces));
  return hash.update(readFileSync(fileURLToPath(import.meta.url))).digest('hex').slice(0, 12);
}

function made(name, content) {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  // Another test may be making it too: whole files only.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, content());
  renameSync(draft, path);
  return path;
}

/** The arguments that give a Chromium the devices of `face`; `microphone` is a WAV file to speak instead of the tone. */
export function deviceArguments(face, microphone) {
  const camera = made(`camera-${face}.y4m`, () => picture(face));
  const voice = microphone ?? made(`microphone-${face}.wav`, () => tone(faces.tones_hz[face]));
  return [
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    `--use-file-for-fake-video-capture=${camera}`,
    `--use-file-for-fake-audio-capture=${voice}`,
  ];
}

export { faces };
