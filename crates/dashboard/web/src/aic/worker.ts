// The codec's own thread: encodes the microphone, decodes every remote voice when its player asks.
import { Codec, type Receiver, type Sender } from "./codec";
import { Level } from "./level";
import { FRAME, type Done, type FromWorker, type Link, type SendReport, type Settings, type ToWorker, type VoiceReport } from "./messages";

const REPORT_MS = 100;
/** Frames of the self-test: browsers need some to see what is worth optimising. */
const WARM_UP = 20;
const TRIAL = 20;
/** At most this much is kept for tests: ten seconds. */
const RECORDED_FRAMES = 500;

interface Voice {
  receiver: Receiver;
  port: MessagePort;
  /** Frames that are still to be heard. */
  left: number;
  /** How loud the last frame ended: steps would click. */
  gain: number;
  level: Level;
  starved: number;
  decoded: number;
  concealed: number;
  silent: number;
  waiting: number;
  recorded: Float32Array[];
}

let codec: Codec | null = null;
let sender: Sender | null = null;
let microphone: MessagePort | null = null;
const voices = new Map<string, Voice>();
const spoken = new Level();
/** For tests: what was sent last. */
const said: Float32Array[] = [];
let took: number[] = [];
let lastTook = 0;
let link: Link | null = null;

const post = (message: FromWorker, transfer: Transferable[] = []) => self.postMessage(message, { transfer });

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  switch (data.type) {
    case "load":
      load(data.files).catch((error: unknown) => post({ type: "failed", message: String(error) }));
      break;
    case "capture":
      microphone?.close();
      microphone = data.port;
      microphone.onmessage = ({ data: frame }: MessageEvent<Float32Array>) => {
        encode(frame);
        data.port.postMessage("done" satisfies Done);
      };
      break;
    case "send":
      sender?.close();
      sender = data.settings && codec ? codec.sender(data.settings) : null;
      took = [];
      break;
    case "link":
      link = data.link;
      break;
    case "loss":
      sender?.loss(data.share, performance.now());
      break;
    case "open":
      open(data.id, data.port);
      break;
    case "audible": {
      const voice = voices.get(data.id);
      if (voice) voice.left = data.on ? Number.POSITIVE_INFINITY : data.lingerFrames;
      break;
    }
    case "packet": {
      const voice = voices.get(data.id);
      if (voice?.receiver.insert(data.frame, data.payload)) voice.starved = 0;
      break;
    }
    case "restart": {
      const voice = voices.get(data.id);
      voice?.receiver.close();
      if (voice && codec) voice.receiver = codec.receiver();
      break;
    }
    case "close":
      voices.get(data.id)?.port.close();
      voices.get(data.id)?.receiver.close();
      voices.delete(data.id);
      break;
    case "record":
      recorded(data.id);
      break;
  }
};

async function load(files: Parameters<typeof Codec.load>[0]): Promise<void> {
  codec = await Codec.load(files);
  const times = trial(codec);
  post({ type: "ready", model: codec.model, ...times });
  setInterval(report, REPORT_MS);
}

/** What a frame takes here. The quick ones count: a machine that is busy for a moment is not a slow one. */
function trial(codec: Codec): { encodeMs: number; decodeMs: number } {
  const sender = codec.sender({ mode: "conservative", minQuality: 0, maxLatencyMs: 1000 } satisfies Settings);
  const receiver = codec.receiver();
  const encoding: number[] = [];
  const decoding: number[] = [];
  for (let index = 0; index < WARM_UP + TRIAL; index += 1) {
    const frame = Float32Array.from({ length: FRAME }, () => (Math.random() - 0.5) * 0.1);
    const start = performance.now();
    const payload = sender.push(frame, index * 20, 0);
    const middle = performance.now();
    if (payload) receiver.insert(sender.first, payload);
    const between = performance.now();
    receiver.pull();
    if (index < WARM_UP) continue;
    encoding.push(middle - start);
    decoding.push(performance.now() - between);
  }
  sender.close();
  receiver.close();
  return { encodeMs: quantile(encoding, 0.1), decodeMs: quantile(decoding, 0.1) };
}

const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0;

function encode(frame: Float32Array): void {
  spoken.add(frame);
  if (!sender) return;
  keep(said, frame);
  const start = performance.now();
  const payload = sender.push(frame, start, lastTook);
  lastTook = performance.now() - start;
  took.push(lastTook);
  if (payload) post({ type: "packet", frame: sender.first, payload });
}

function open(id: string, port: MessagePort): void {
  if (!codec || voices.has(id)) return;
  const voice: Voice = {
    receiver: codec.receiver(),
    port,
    left: 0,
    gain: 0,
    level: new Level(),
    starved: 0,
    decoded: 0,
    concealed: 0,
    silent: 0,
    waiting: 0,
    recorded: [],
  };
  voices.set(id, voice);
  port.onmessage = () => port.postMessage(next(voice));
}

function next(voice: Voice): Float32Array {
  const { pcm, played } = voice.receiver.pull();
  voice.starved += 1;
  voice[played === "coded" || played === "redundant" ? "decoded" : played] += 1;
  voice.level.add(pcm);
  const heard = faded(voice, pcm);
  keep(voice.recorded, heard);
  return heard;
}

function keep(frames: Float32Array[], frame: Float32Array): void {
  // A player takes its frame away with it.
  frames.push(frame.slice());
  if (frames.length > RECORDED_FRAMES) frames.shift();
}

/** The frame as it is heard, and a smooth way from silence or to it. */
function faded(voice: Voice, pcm: Float32Array): Float32Array {
  const from = voice.gain;
  voice.gain = voice.left > 0 ? 1 : 0;
  voice.left = Math.max(0, voice.left - 1);
  if (from === voice.gain) return from === 1 ? pcm : new Float32Array(FRAME);
  return pcm.map((sample, index) => sample * (from + ((voice.gain - from) * index) / FRAME));
}

function report(): void {
  const list: VoiceReport[] = [...voices].map(([id, voice]) => ({
    id,
    level: voice.level.take(),
    starvedFrames: voice.starved,
    decoded: voice.decoded,
    concealed: voice.concealed,
    silent: voice.silent,
    waiting: voice.waiting,
    late: voice.receiver.late,
  }));
  const opusBps = link && codec ? codec.rung(link, performance.now()) : null;
  post({ type: "report", send: sendReport(), voices: list, opusBps });
}

function sendReport(): SendReport | null {
  const level = spoken.take();
  if (!sender) return null;
  const times = took;
  took = [];
  const meanMs = times.reduce((sum, ms) => sum + ms, 0) / Math.max(1, times.length);
  const p95Ms = quantile(times, 0.95);
  const { trouble, rateKbps, quality } = sender.status;
  return { level, trouble, rateKbps, quality, meanMs, p95Ms, frames: times.length };
}

function recorded(id: string): void {
  const frames = id === "" ? said : (voices.get(id)?.recorded ?? []);
  const pcm = new Int16Array(frames.length * FRAME);
  frames.forEach((frame, index) => {
    frame.forEach((sample, offset) => {
      pcm[index * FRAME + offset] = Math.max(-1, Math.min(1, sample)) * 32767;
    });
  });
  post({ type: "recorded", id, pcm }, [pcm.buffer]);
}
