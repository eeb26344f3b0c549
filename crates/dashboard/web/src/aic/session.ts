// AIC in one meeting: says what this page can take and wants, sends AIC, Opus or both, plays what comes, and tells the
// page what is going on. One step does it all, and is taken whenever something changes and ten times a second.
import { ConnectionQuality, RoomEvent, Track, type LocalAudioTrack, type LocalDataTrack, type RemoteParticipant, type Room } from "livekit-client";
import { built, prefetch } from "./assets";
import { Chooser, wanted, type Reason, type Situation } from "./choice";
import { MODEL_ATTRIBUTE, TRACK_NAME, WANT_ATTRIBUTE, write } from "./framing";
import { Host } from "./host";
import { Speaking } from "./level";
import { DEFAULTS, FRAME_MS, type SendReport, type Settings, type VoiceReport } from "./messages";
import { Microphone } from "./microphone";
import { estimated, LOW_BPS, LOW_LINK_BPS, UplinkControl } from "./uplink";
import { LOSS_TOPIC, setSpeaking, Voices } from "./voices";

const STEP_MS = 100;
const LOSS_HOLD_MS = 5000;
const ANNOUNCE_RETRY_MS = 2000;
/** How often the browser is asked what the link carries. */
const ESTIMATE_MS = 1000;
/** A link that has been excellent for this long can spare the codec's files. */
const PREFETCH_MS = 20_000;

/** What the page shows. */
export interface View {
  want: boolean;
  /** `aic`: Opus is paused. `low`: Opus at its least. `idle`: nobody asks for little data. */
  state: "idle" | "starting" | "aic" | "both" | "low";
  reason: Reason | null;
  /** The reason lies with this page, not with a listener. */
  here: boolean;
  /** Payload of AIC, kilobits per second. */
  kbps: number | null;
  /** What low Opus is held to, or would be. */
  opusKbps: number;
  quality: number | null;
  /** Voices that are heard over AIC. */
  voices: number;
}

const IDLE: View = { want: false, state: "idle", reason: null, here: false, kbps: null, opusKbps: LOW_BPS / 1000, quality: null, voices: 0 };

/** What was sent since it was last asked for. */
export interface Usage {
  frames: number;
  aicFrames: number;
  bytes: number;
  qualities: number[];
  meanMs: number;
  p95Ms: number;
}

const NO_USAGE: Usage = { frames: 0, aicFrames: 0, bytes: 0, qualities: [], meanMs: 0, p95Ms: 0 };

export class AicSession {
  readonly host: Host;
  readonly voices: Voices;
  readonly chooser = new Chooser();
  sentPackets = 0;
  sentBytes = 0;
  private readonly microphone = new Microphone();
  private readonly uplink = new UplinkControl();
  private readonly spoken = new Speaking();
  private readonly watchers = new Set<() => void>();
  private readonly losses = new Map<string, { share: number; at: number }>();
  private readonly waiting = new Map<string, (pcm: Int16Array) => void>();
  private settings: Settings = DEFAULTS;
  private enabled = true;
  private want = false;
  private view: View = IDLE;
  private usage: Usage = NO_USAGE;
  private send: SendReport | null = null;
  private track: LocalDataTrack | null = null;
  private publishing = false;
  /** The worker's sender: of which worker, with which settings; null while there is none. */
  private sending: { generation: number; settings: Settings } | null = null;
  private frameBase = 0;
  private opusBps = LOW_BPS;
  private linkBps = LOW_LINK_BPS;
  private estimatedAt = Number.NEGATIVE_INFINITY;
  private announcedAt = Number.NEGATIVE_INFINITY;
  private timer: ReturnType<typeof setInterval> | undefined;
  private queued = false;
  private weakAt = performance.now();

  constructor(private readonly room: Room) {
    this.host = new Host({
      changed: () => this.soon(),
      packet: (frame, payload) => this.sendPacket(frame, payload),
      report: (send, voices, opusBps) => this.report(send, voices, opusBps),
      recorded: (id, pcm) => this.waiting.get(id)?.(pcm),
    });
    this.voices = new Voices(room, this.host, () => this.soon());
  }

  start(): void {
    for (const event of STEP_ON) this.room.on(event, this.soon);
    this.room.on(RoomEvent.Connected, this.fresh).on(RoomEvent.Disconnected, this.fresh);
    this.room.on(RoomEvent.DataReceived, this.lossReported);
    addEventListener("pointerdown", this.resume);
    addEventListener("keydown", this.resume);
    this.timer = setInterval(() => this.step(), STEP_MS);
    this.soon();
  }

  stop(): void {
    for (const event of STEP_ON) this.room.off(event, this.soon);
    this.room.off(RoomEvent.Connected, this.fresh).off(RoomEvent.Disconnected, this.fresh);
    this.room.off(RoomEvent.DataReceived, this.lossReported);
    removeEventListener("pointerdown", this.resume);
    removeEventListener("keydown", this.resume);
    clearInterval(this.timer);
    this.voices.clear();
    this.microphone.close();
    this.host.stop();
  }

  setWant(want: boolean): void {
    this.want = want;
    this.soon();
  }

  configure(enabled: boolean, settings: Settings): void {
    this.enabled = enabled;
    this.settings = settings;
    this.soon();
  }

  readonly watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  readonly snapshot = (): View => this.view;

  get mode(): Settings["mode"] {
    return this.settings.mode;
  }

  /** What was sent since the last call. */
  takeUsage(): Usage {
    const usage = this.usage;
    this.usage = { ...NO_USAGE, qualities: [] };
    return usage;
  }

  /** The last ten seconds heard of somebody over AIC, or sent (without an identity), at 16 kHz. For tests. */
  recording(identity: string): Promise<Int16Array> {
    const id = identity === "" ? "" : this.voices.voiceId(identity);
    if (id === null) return Promise.resolve(new Int16Array());
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.host.post({ type: "record", id });
    });
  }

  private readonly soon = (): void => {
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      this.step();
    });
  };

  private readonly resume = (): void => this.host.resume();

  /** A new connection knows nothing of the last one's tracks and attributes. */
  private readonly fresh = (): void => {
    this.track = null;
    this.announcedAt = Number.NEGATIVE_INFINITY;
    this.soon();
  };

  private step(): void {
    const now = performance.now();
    this.host.watch(now);
    const situation = this.situation();
    if (wanted(situation) && this.enabled && built()) this.host.start();
    else if (!wanted(situation)) this.host.stop();
    const before = this.chooser.plan;
    // Without a track there is no way out for AIC.
    const plan = this.chooser.step(this.track ? situation : { ...situation, model: null }, now);

    const audio = this.room.localParticipant.getTrackPublication(Track.Source.Microphone)?.track as LocalAudioTrack | undefined;
    const speaks = audio && !audio.isMuted ? audio : undefined;
    // Sound that gives trouble is still encoded, to hear when the trouble ends.
    const shadow = plan.reason !== null && plan.reason === this.send?.trouble;
    this.encode((plan.aic || shadow) && speaks ? speaks.mediaStreamTrack : null);
    if (situation.model !== null && wanted(situation)) void this.publish();
    if (before.aic && !plan.aic) this.end();
    const low = this.want || (wanted(situation) && !plan.aic);
    this.uplink.set(audio?.sender ?? null, plan.opus ? (low ? "low" : "normal") : "off", this.opusBps);
    if (low && plan.opus) this.estimate(audio?.sender, now);

    this.voices.sync(this.want, now);
    this.announce(now);
    if (this.room.localParticipant.connectionQuality !== ConnectionQuality.Excellent) this.weakAt = now;
    else if (now - this.weakAt > PREFETCH_MS) void prefetch();
    this.show(situation);
  }

  private situation(): Situation {
    return {
      want: this.want,
      enabled: this.enabled,
      model: this.usableModel(),
      trouble: this.send?.trouble ?? null,
      listeners: [...this.room.remoteParticipants.values()].map(({ attributes }) => ({
        model: attributes[MODEL_ATTRIBUTE] || undefined,
        want: attributes[WANT_ATTRIBUTE] === "1",
      })),
    };
  }

  /** Frames only flow while the browser runs the audio graph. */
  private usableModel(): string | null {
    return this.host.context?.state === "running" ? this.host.model : null;
  }

  private encode(track: MediaStreamTrack | null): void {
    const { generation } = this.host;
    if (this.host.ready === "off" || this.host.ready === "loading" || this.host.ready === "failed") {
      this.sending = null;
      this.send = null;
      return;
    }
    const allowed = this.microphone.follow(this.host, track);
    if (!track || !allowed) {
      if (this.sending) this.host.post({ type: "send", settings: null });
      this.sending = null;
      this.send = null;
    } else if (this.sending?.generation !== generation || this.sending.settings !== this.settings) {
      this.host.post({ type: "send", settings: this.settings });
      this.sending = { generation, settings: this.settings };
      // Numbers go on across senders, so that listeners never see time run backwards.
      this.frameBase = Math.floor(performance.now() / FRAME_MS);
    }
  }

  private async publish(): Promise<void> {
    if (this.track || this.publishing || this.room.state !== "connected") return;
    this.publishing = true;
    try {
      this.track = await this.room.localParticipant.publishDataTrack({ name: TRACK_NAME });
    } catch {
      // The next step tries again; until then everybody hears Opus.
      await new Promise((resolve) => setTimeout(resolve, ANNOUNCE_RETRY_MS));
    } finally {
      this.publishing = false;
    }
  }

  private sendPacket(frame: number, payload: Uint8Array): void {
    const { plan } = this.chooser;
    if (!plan.aic || !this.track) return;
    this.sentPackets += 1;
    this.sentBytes += payload.length;
    this.usage = { ...this.usage, bytes: this.usage.bytes + payload.length };
    this.push(write(this.frameBase + frame, this.uplink.now === "off", payload));
  }

  /** Tells listeners at once that Opus is coming. */
  private end(): void {
    this.push(write(0, false, new Uint8Array()));
  }

  private push(payload: Uint8Array<ArrayBuffer>): void {
    try {
      this.track?.tryPush({ payload }).catch(() => {});
    } catch {
      // Unpublished with the connection; `fresh` publishes anew.
      this.track = null;
    }
  }

  private report(send: SendReport | null, voices: VoiceReport[], opusBps: number | null): void {
    const now = performance.now();
    this.opusBps = opusBps ?? LOW_BPS;
    const { opus, aic } = this.chooser.plan;
    this.send = this.sending ? send : null;
    this.voices.report(voices, now);
    if (this.send) {
      const { frames, quality, meanMs, p95Ms } = this.send;
      const old = this.usage;
      this.usage = {
        ...old,
        frames: old.frames + frames,
        aicFrames: old.aicFrames + (aic && !opus ? frames : 0),
        qualities: quality === null ? old.qualities : [...old.qualities, quality],
        meanMs: (old.meanMs * old.frames + meanMs * frames) / Math.max(1, old.frames + frames),
        p95Ms: Math.max(old.p95Ms, p95Ms),
      };
    }
    const local = this.room.localParticipant;
    const speaks = this.spoken.step(this.send?.level ?? 0, now);
    if (!opus && speaks !== local.isSpeaking) {
      setSpeaking(this.room, local, speaks, this.send?.level ?? 0);
      this.room.emit(RoomEvent.ActiveSpeakersChanged, this.room.activeSpeakers);
    }
    this.forwardLink(now);
    this.soon();
  }

  private readonly lossReported = (payload: Uint8Array, participant?: RemoteParticipant, _kind?: unknown, topic?: string): void => {
    const [share] = payload;
    if (topic !== LOSS_TOPIC || !participant || share === undefined) return;
    this.losses.set(participant.identity, { share: share / 255, at: performance.now() });
  };

  private forwardLink(now: number): void {
    const heard = this.losses.size > 0;
    for (const [identity, { at }] of this.losses) if (now - at > LOSS_HOLD_MS) this.losses.delete(identity);
    const share = Math.max(0, ...[...this.losses.values()].map((loss) => loss.share));
    if (heard) this.host.post({ type: "loss", share });
    const { opus, reason } = this.chooser.plan;
    this.host.post({ type: "link", link: opus ? { mode: this.settings.mode, reason, share, availableBps: this.linkBps } : null });
  }

  /** What the browser thinks that the link carries: never more than whoever wants little data may use. */
  private estimate(sender: RTCRtpSender | undefined, now: number): void {
    if (!sender || now - this.estimatedAt < ESTIMATE_MS) return;
    this.estimatedAt = now;
    sender
      .getStats()
      .then((stats) => (this.linkBps = Math.min(LOW_LINK_BPS, estimated(stats) ?? LOW_LINK_BPS)))
      .catch(() => {});
  }

  private announce(now: number): void {
    if (this.room.state !== "connected" || now - this.announcedAt < ANNOUNCE_RETRY_MS) return;
    const local = this.room.localParticipant;
    const wish = { [MODEL_ATTRIBUTE]: this.usableModel() ?? "", [WANT_ATTRIBUTE]: this.want ? "1" : "" };
    const same = Object.entries(wish).every(([name, value]) => (local.attributes[name] ?? "") === value);
    if (same) return;
    this.announcedAt = now;
    local
      .setAttributes(wish)
      .catch(() => {})
      .finally(() => {
        this.announcedAt = Number.NEGATIVE_INFINITY;
        this.soon();
      });
  }

  private show(situation: Situation): void {
    const { plan } = this.chooser;
    const { ready } = this.host;
    const state = (): View["state"] => {
      if (!wanted(situation)) return "idle";
      if (!plan.opus) return "aic";
      if (ready === "loading" || (plan.aic && plan.reason === null && this.want)) return "starting";
      return plan.aic ? "both" : "low";
    };
    const next: View = {
      want: this.want,
      state: state(),
      reason: plan.reason,
      here: situation.model === null || this.track === null,
      kbps: plan.aic && this.send && this.send.rateKbps > 0 ? Math.round(this.send.rateKbps * 10) / 10 : null,
      opusKbps: this.opusBps / 1000,
      quality: plan.aic && this.send?.quality != null ? Math.round(this.send.quality * 100) / 100 : null,
      voices: this.voices.heard.filter(({ playing }) => playing).length,
    };
    const keys = Object.keys(next) as (keyof View)[];
    if (keys.every((key) => next[key] === this.view[key])) return;
    this.view = next;
    for (const watcher of this.watchers) watcher();
  }
}

const STEP_ON = [
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.ParticipantAttributesChanged,
  RoomEvent.DataTrackPublished,
  RoomEvent.DataTrackUnpublished,
  RoomEvent.LocalTrackPublished,
  RoomEvent.LocalTrackUnpublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
  RoomEvent.Reconnected,
] as const;
