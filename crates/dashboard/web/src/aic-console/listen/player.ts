// Plays one of several recordings of the same words, and changes between them without losing the place: all are
// decoded beforehand, and a change is a crossfade of a few milliseconds.
import { pause, play, position, seek, STOPPED, type Transport } from "./transport";

const FADE_S = 0.012;

interface Voice {
  source: AudioBufferSourceNode;
  gain: GainNode;
}

export class Player {
  private context: AudioContext | null = null;
  private readonly buffers = new Map<string, Promise<AudioBuffer>>();
  private voice: Voice | null = null;
  private transport: Transport = STOPPED;
  private duration = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private turn = 0;
  /** What is loaded to be heard; empty at first. */
  current = "";
  /** Told after every change. */
  onChange: () => void = () => {};

  get playing(): boolean {
    return this.transport.origin !== null;
  }

  get position(): number {
    return position(this.transport, this.now, this.duration);
  }

  get length(): number {
    return this.duration;
  }

  private get now(): number {
    return this.context?.currentTime ?? 0;
  }

  /** Fetches and decodes, so that a change is immediate. Failures show when it is to be heard. */
  prepare(urls: string[]): void {
    for (const url of urls) this.load(url).catch(() => this.buffers.delete(url));
  }

  private load(url: string): Promise<AudioBuffer> {
    const known = this.buffers.get(url);
    if (known) return known;
    const context = (this.context ??= new AudioContext());
    const loading = fetch(url)
      .then((response) => {
        if (!response.ok) throw new Error(`${url}: ${response.status}`);
        return response.arrayBuffer();
      })
      .then((bytes) => context.decodeAudioData(bytes));
    this.buffers.set(url, loading);
    return loading;
  }

  /** Goes on with this recording, from the same place; from the start when it is of other words. */
  async hear(url: string, { start = true, restart = false } = {}): Promise<void> {
    const mine = ++this.turn;
    const buffer = await this.load(url).catch((error: unknown) => {
      this.buffers.delete(url);
      throw error;
    });
    if (mine !== this.turn || !this.context) return;
    if (this.context.state === "suspended") await this.context.resume();
    if (restart) this.stop();
    this.current = url;
    this.duration = buffer.duration;
    if (start) this.transport = play(this.transport, this.now, this.duration);
    if (this.playing) this.sound(buffer);
    this.onChange();
  }

  pause(): void {
    this.turn += 1;
    this.transport = pause(this.transport, this.now, this.duration);
    this.silence();
    this.onChange();
  }

  async seek(to: number): Promise<void> {
    this.transport = seek(this.transport, this.now, Math.min(this.duration, Math.max(0, to)));
    if (this.playing && this.current) this.sound(await this.load(this.current));
    this.onChange();
  }

  /** Back to the start, silent. */
  stop(): void {
    this.turn += 1;
    this.transport = STOPPED;
    this.silence();
    this.onChange();
  }

  close(): void {
    this.stop();
    this.onChange = () => {};
    this.buffers.clear();
    void this.context?.close();
    this.context = null;
  }

  private sound(buffer: AudioBuffer): void {
    const { context } = this;
    if (!context) return;
    const from = this.position;
    this.silence();
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.linearRampToValueAtTime(1, context.currentTime + FADE_S);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(gain).connect(context.destination);
    source.start(0, from);
    this.voice = { source, gain };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.pause(), (buffer.duration - from) * 1000 + 30);
  }

  private silence(): void {
    clearTimeout(this.timer);
    const { voice, context } = this;
    this.voice = null;
    if (!voice || !context) return;
    const { gain } = voice.gain;
    gain.cancelScheduledValues(context.currentTime);
    gain.setValueAtTime(gain.value, context.currentTime);
    gain.linearRampToValueAtTime(0, context.currentTime + FADE_S);
    voice.source.stop(context.currentTime + FADE_S);
  }
}
