// The codec's worker and its audio graph: loaded when somebody wants AIC, watched, and started anew when it dies.
//
// Ready means that frames come and go right now: a worker that has not been heard of for a while is not ready, a
// worker that stays silent is ended and replaced, later each time.
import { files, built } from "./assets";
import type { FromWorker, SendReport, ToWorker, VoiceReport } from "./messages";
import { FRAME_MS, SAMPLE_RATE } from "./messages";
import { startWorker } from "./trusted";
import workerUrl from "./worker.ts?worker&url";
import workletUrl from "./worklet.ts?worker&url";

/** Reports come every 100 ms; this late, the worker cannot be relied on. */
const LATE_MS = 600;
/** This late, it is dead. */
const DEAD_MS = 4000;
const LOAD_LIMIT_MS = 120_000;
const RESTART_MS = [2000, 10_000, 30_000];
/** Encoding plus decoding must leave most of a frame's time to the rest of the machine. */
const AFFORDABLE_MS = FRAME_MS * 0.6;

export type Ready = "off" | "loading" | "ready" | "late" | "failed";

export interface HostEvents {
  changed(): void;
  packet(frame: number, payload: Uint8Array): void;
  report(send: SendReport | null, voices: VoiceReport[], opusBps: number | null): void;
  recorded(id: string, pcm: Int16Array): void;
}

export class Host {
  /** Ends with the worker: whatever was set up in it has to be set up again. */
  generation = 0;
  context: AudioContext | null = null;
  error: string | null = null;
  private worker: Worker | null = null;
  private state: Ready = "off";
  /** The model loaded last. */
  running: string | null = null;
  private heardAt = 0;
  private restarts = 0;
  private restartTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly events: HostEvents) {}

  get ready(): Ready {
    return this.state;
  }

  /** The model that can be used right now. */
  get model(): string | null {
    return this.state === "ready" ? this.running : null;
  }

  /** Loads the codec unless that has been done; tries again only after a failure's pause. */
  start(): void {
    if (this.state === "off") void this.load();
  }

  post(message: ToWorker, transfer: Transferable[] = []): void {
    this.worker?.postMessage(message, transfer);
  }

  /** Looks after the worker; call every 100 ms or so. */
  watch(now: number): void {
    if (this.state !== "ready" && this.state !== "late") return;
    const silent = now - this.heardAt;
    if (silent > DEAD_MS) this.fail("the codec's worker does not answer");
    else this.become(silent > LATE_MS ? "late" : "ready");
  }

  /** Browsers start audio only after a click; harmless when it runs. */
  resume(): void {
    if (this.context?.state === "suspended") void this.context.resume().catch(() => {});
  }

  stop(): void {
    this.end();
    this.restarts = 0;
    this.become("off");
  }

  /** Ends the worker as a crash would. For tests. */
  kill(): void {
    this.worker?.terminate();
  }

  private async load(): Promise<void> {
    this.generation += 1;
    const { generation } = this;
    this.become("loading");
    try {
      if (!built()) throw new Error("this build has no codec");
      const contents = await files(AbortSignal.timeout(LOAD_LIMIT_MS));
      const context = await openContext();
      if (generation !== this.generation) return void context.close();
      this.context = context;
      const worker = startWorker(workerUrl, "aic");
      this.worker = worker;
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.heard(data);
      worker.onerror = (event) => this.fail(event.message || "the codec's worker failed");
      worker.postMessage({ type: "load", files: contents } satisfies ToWorker, Object.values(contents) as ArrayBuffer[]);
    } catch (error) {
      if (generation === this.generation) this.fail(String(error));
    }
  }

  private heard(message: FromWorker): void {
    this.heardAt = performance.now();
    switch (message.type) {
      case "ready": {
        this.running = message.model;
        const frameMs = message.encodeMs + message.decodeMs;
        if (frameMs > AFFORDABLE_MS) this.fail(`a frame takes ${frameMs.toFixed(1)} ms`);
        else this.become("ready");
        break;
      }
      case "failed":
        this.fail(message.message);
        break;
      case "packet":
        this.events.packet(message.frame, message.payload);
        break;
      case "report":
        if (this.state === "late") this.become("ready");
        this.events.report(message.send, message.voices, message.opusBps);
        break;
      case "recorded":
        this.events.recorded(message.id, message.pcm);
        break;
    }
  }

  private fail(error: string): void {
    this.end();
    this.error = error;
    this.become("failed");
    const pause = RESTART_MS[Math.min(this.restarts, RESTART_MS.length - 1)];
    this.restarts += 1;
    this.restartTimer = setTimeout(() => this.state === "failed" && void this.load(), pause);
  }

  private end(): void {
    clearTimeout(this.restartTimer);
    this.generation += 1;
    this.running = null;
    if (this.worker) this.worker.onmessage = this.worker.onerror = null;
    this.worker?.terminate();
    this.worker = null;
    void this.context?.close().catch(() => {});
    this.context = null;
  }

  private become(state: Ready): void {
    if (state === this.state) return;
    this.state = state;
    this.events.changed();
  }
}

/** At the codec's own rate where the browser allows, which then resamples in both directions. */
async function openContext(): Promise<AudioContext> {
  const foreignRates = !navigator.userAgent.includes("Firefox/");
  const context = new AudioContext({ latencyHint: "interactive", ...(foreignRates && { sampleRate: SAMPLE_RATE }) });
  await context.audioWorklet.addModule(workletUrl);
  return context;
}
