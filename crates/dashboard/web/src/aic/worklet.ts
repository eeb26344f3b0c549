// Runs on the audio thread: cuts the microphone into frames for the codec's worker, and plays the frames that the
// worker answers. Both talk to the worker directly, past the page's own thread. Nothing here knows the codec.
import { FRAME, SAMPLE_RATE } from "./messages";
import type { Done, ToPlayer } from "./messages";
import { Resampler } from "./resample";

// What the audio thread offers beside the ordinary library; TypeScript does not describe it.
declare const sampleRate: number;
declare const currentTime: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

/** Frames asked for ahead: what the worker's answer may take. More once it took longer, fewer again when all is well. */
const AHEAD = 2;
const MOST_AHEAD = 8;
const WELL_SECONDS = 10;
/** Frames that may wait for a busy worker; beyond that, what is said is lost rather than ever later. */
const BACKLOG = 10;

const native = sampleRate === SAMPLE_RATE;

class Capture extends AudioWorkletProcessor {
  private readonly resampler = native ? null : new Resampler(sampleRate, SAMPLE_RATE);
  private frame = new Float32Array(FRAME);
  private filled = 0;
  private waiting = 0;
  private worker: MessagePort | null = null;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<MessagePort | null>) => {
      this.worker = data;
      this.waiting = 0;
      if (!data) return;
      data.onmessage = () => {
        this.waiting = Math.max(0, this.waiting - 1);
      };
    };
  }

  process([input]: Float32Array[][]): boolean {
    const [left, right] = input ?? [];
    if (!this.worker || !left) return true;
    const mono = right ? left.map((sample, index) => (sample + (right[index] ?? 0)) / 2) : left;
    for (const sample of this.resampler?.push(mono) ?? mono) {
      this.frame[this.filled] = sample;
      this.filled += 1;
      if (this.filled < FRAME) continue;
      this.filled = 0;
      if (this.waiting >= BACKLOG) continue;
      this.waiting += 1;
      this.worker.postMessage(this.frame, [this.frame.buffer]);
      this.frame = new Float32Array(FRAME);
    }
    return true;
  }
}

class Playback extends AudioWorkletProcessor {
  private readonly resampler = native ? null : new Resampler(SAMPLE_RATE, sampleRate);
  private readonly queue: Float32Array[] = [];
  private at = 0;
  private asked = 0;
  private ahead = AHEAD;
  private adjusted = 0;
  private dry = true;
  private worker: MessagePort | null = null;
  private closed = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<MessagePort | null>) => {
      if (!data) {
        this.closed = true;
        return;
      }
      this.worker = data;
      this.worker.onmessage = ({ data: frame }: MessageEvent<ToPlayer>) => {
        this.asked = Math.max(0, this.asked - 1);
        this.queue.push(this.resampler?.push(frame) ?? frame);
      };
    };
  }

  process(_inputs: Float32Array[][], [output]: Float32Array[][]): boolean {
    const [channel] = output ?? [];
    if (channel) this.fill(channel);
    const message: Done = "done";
    while (this.worker && this.queue.length + this.asked < this.ahead) {
      this.asked += 1;
      this.worker.postMessage(message);
    }
    return !this.closed;
  }

  private fill(channel: Float32Array): void {
    for (let index = 0; index < channel.length; index += 1) {
      let frame = this.queue[0];
      while (frame && this.at >= frame.length) {
        this.queue.shift();
        this.at = 0;
        frame = this.queue[0];
      }
      // Without a frame there is silence until the worker answers.
      channel[index] = frame?.[this.at] ?? 0;
      if (frame) this.at += 1;
    }
    this.adjust(this.queue.length === 0);
  }

  private adjust(dry: boolean): void {
    const well = currentTime - this.adjusted > WELL_SECONDS;
    if (dry && !this.dry) this.ahead = Math.min(MOST_AHEAD, this.ahead + 1);
    else if (well) this.ahead = Math.max(AHEAD, this.ahead - 1);
    if (well || (dry && !this.dry)) this.adjusted = currentTime;
    this.dry = dry;
  }
}

registerProcessor("aic-capture", Capture);
registerProcessor("aic-playback", Playback);
