// Remote voices over AIC: one subscription, one player, and the choice between it and the same person's Opus.
//
// AIC is played while it comes and either is all there is or was asked for here; in every other case the person's
// ordinary track sounds, without anybody having to say so.
import { RoomEvent, Track, type DataTrackFrame, type RemoteDataTrack, type RemoteParticipant, type Room } from "livekit-client";
import { read, TRACK_NAME, unwrap } from "./framing";
import type { Host } from "./host";
import { Speaking } from "./level";
import type { VoiceReport } from "./messages";

/** Without any packet for this long the voice has stopped; in silence a sender still sends now and then. */
const STOPPED_MS = 1500;
/** What is still in the buffer when AIC ends is played, while Opus starts. */
const LINGER_FRAMES = 4;
const LOSS_EVERY_MS = 2000;
export const LOSS_TOPIC = "aic.loss";

class Voice {
  playing = false;
  /** AIC is all that this person sends. */
  opusPaused = false;
  /** Null once AIC has ended. */
  packetAt: number | null = null;
  packets = 0;
  bytes = 0;
  last: VoiceReport | null = null;
  readonly speaking = new Speaking();
  private frame: number | null = null;
  private lossAt = 0;
  private lossFrom = { decoded: 0, concealed: 0 };
  private readonly abort = new AbortController();
  private readonly player: AudioWorkletNode;

  constructor(
    readonly participant: RemoteParticipant,
    readonly track: RemoteDataTrack,
    readonly host: Host,
    context: AudioContext,
    private readonly changed: () => void,
  ) {
    const { port1, port2 } = new MessageChannel();
    this.player = new AudioWorkletNode(context, "aic-playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.player.port.postMessage(port1, [port1]);
    this.player.connect(context.destination);
    host.post({ type: "open", id: this.id, port: port2 }, [port2]);
    void this.listen();
  }

  get id(): string {
    return this.track.info.sid;
  }

  /** What the last two seconds lost, every two seconds, or null. */
  loss(report: VoiceReport, now: number): number | null {
    this.last = report;
    // What is invented after the sender has stopped is no loss: counting begins with playing.
    const { playing: counted } = this;
    if (counted && now - this.lossAt < LOSS_EVERY_MS) return null;
    const decoded = report.decoded - this.lossFrom.decoded;
    const concealed = report.concealed - this.lossFrom.concealed;
    this.lossAt = now;
    this.lossFrom = { decoded: report.decoded, concealed: report.concealed };
    return counted && decoded > 0 ? concealed / (decoded + concealed) : null;
  }

  close(): void {
    this.abort.abort();
    this.player.port.postMessage(null);
    this.player.disconnect();
    this.host.post({ type: "close", id: this.id });
  }

  private async listen(): Promise<void> {
    try {
      const reader = this.track.subscribe({ signal: this.abort.signal, bufferSize: 64 }).getReader();
      for (let next = await reader.read(); !next.done; next = await reader.read()) this.take(next.value);
    } catch {
      // Unsubscribed, unpublished or disconnected: the next look at the room decides what to do.
    }
    if (!this.abort.signal.aborted) this.packetAt = null;
    this.changed();
  }

  private take({ payload: bytes }: DataTrackFrame): void {
    const packet = read(bytes);
    if (!packet) return;
    const now = performance.now();
    const fresh = this.packetAt === null || now - this.packetAt >= STOPPED_MS;
    const pausedBefore = this.opusPaused;
    if (packet.payload.length === 0) {
      this.packetAt = null;
      this.opusPaused = false;
      this.frame = null;
      this.changed();
      return;
    }
    this.packetAt = now;
    this.opusPaused = packet.opusPaused;
    this.packets += 1;
    this.bytes += packet.payload.length;
    // A gap is not to be played through: it may be as long as Opus stood in.
    if (fresh) this.host.post({ type: "restart", id: this.id });
    this.frame = this.frame === null ? packet.frame : unwrap(packet.frame, this.frame);
    this.host.post({ type: "packet", id: this.id, frame: this.frame >>> 0, payload: packet.payload });
    if (fresh || pausedBefore !== this.opusPaused) this.changed();
  }
}

export class Voices {
  private readonly voices = new Map<string, Voice>();
  private generation = -1;

  constructor(
    private readonly room: Room,
    private readonly host: Host,
    private readonly changed: () => void,
  ) {}

  /** Brings voices and Opus in line with who is here; `want` asks for AIC also where Opus is sent. */
  sync(want: boolean, now: number): void {
    if (this.generation !== this.host.generation) this.clear();
    this.generation = this.host.generation;
    const { context } = this.host;
    const live = this.host.ready === "ready" || this.host.ready === "late";
    for (const [identity, voice] of this.voices) {
      const track = this.room.remoteParticipants.get(identity)?.dataTracks.get(TRACK_NAME);
      if (!live || track !== voice.track) this.drop(identity);
    }
    if (live && context) {
      for (const [identity, participant] of this.room.remoteParticipants) {
        const track = participant.dataTracks.get(TRACK_NAME);
        if (!track || this.voices.has(identity)) continue;
        this.voices.set(identity, new Voice(participant, track, this.host, context, this.changed));
      }
    }
    for (const voice of this.voices.values()) {
      const coming = voice.packetAt !== null && now - voice.packetAt < STOPPED_MS;
      this.play(voice, this.host.ready === "ready" && coming && (voice.opusPaused || want));
    }
  }

  report(reports: readonly VoiceReport[], now: number): void {
    for (const voice of this.voices.values()) {
      const report = reports.find(({ id }) => id === voice.id);
      if (!report) continue;
      const loss = voice.loss(report, now);
      if (loss !== null && loss > 0) this.tellLoss(voice.participant.identity, loss);
    }
    this.speakers(now);
  }

  /** For tests and measurements: what is heard of whom. */
  get heard(): { identity: string; playing: boolean; opusPaused: boolean; packets: number; bytes: number; last: VoiceReport | null }[] {
    return [...this.voices].map(([identity, { playing, opusPaused, packets, bytes, last }]) => ({
      identity,
      playing,
      opusPaused,
      packets,
      bytes,
      last,
    }));
  }

  voiceId(identity: string): string | null {
    return this.voices.get(identity)?.id ?? null;
  }

  clear(): void {
    for (const identity of [...this.voices.keys()]) this.drop(identity);
  }

  private drop(identity: string): void {
    const voice = this.voices.get(identity);
    if (!voice) return;
    this.play(voice, false);
    voice.close();
    this.voices.delete(identity);
  }

  private play(voice: Voice, on: boolean): void {
    const { participant } = voice;
    const opus = participant.getTrackPublication(Track.Source.Microphone);
    // What nobody hears need not be sent: the server then keeps this person's Opus from us.
    if (opus) opus.setEnabled(!(on && !voice.opusPaused));
    if (voice.playing === on) return;
    voice.playing = on;
    participant.setVolume(on ? 0 : 1, Track.Source.Microphone);
    this.host.post({ type: "audible", id: voice.id, on, lingerFrames: LINGER_FRAMES });
  }

  private tellLoss(identity: string, share: number): void {
    const payload = Uint8Array.of(Math.min(255, Math.ceil(share * 255)));
    this.room.localParticipant
      .publishData(payload, { reliable: false, destinationIdentities: [identity], topic: LOSS_TOPIC })
      .catch(() => {});
  }

  /** The server cannot hear who speaks AIC: this page can. */
  private speakers(now: number): void {
    let changed = false;
    for (const { participant, playing, opusPaused, last, speaking } of this.voices.values()) {
      const level = playing ? (last?.level ?? 0) : 0;
      const speaks = speaking.step(level, now);
      if (!opusPaused || speaks === participant.isSpeaking) continue;
      changed = true;
      setSpeaking(this.room, participant, speaks, level);
    }
    if (changed) this.room.emit(RoomEvent.ActiveSpeakersChanged, this.room.activeSpeakers);
  }
}

/** As the server's own news of who speaks would. */
export function setSpeaking(room: Room, participant: Room["activeSpeakers"][number], speaks: boolean, level: number): void {
  participant.audioLevel = level;
  participant.setIsSpeaking(speaks);
  const others = room.activeSpeakers.filter((speaker) => speaker !== participant);
  room.activeSpeakers = speaks ? [participant, ...others] : others;
}
