// The microphone's Opus, as RTP: stopped, low or normal, without negotiating anew. The track stays published and
// unmuted, so for everybody else nothing changes but where the sound comes from.

export type Uplink = "off" | "low" | "normal";

/** Low Opus while the codec, which knows better, does not run. */
export const LOW_BPS = 16_000;
/** The link of somebody who asked for little data, unless it is found to be slower. */
export const LOW_LINK_BPS = 30_000;

/** Parameters newer than TypeScript's list. */
interface Encoding extends RTCRtpEncodingParameters {
  /** Packets up to 60 ms while the link is slow. */
  adaptivePtime?: boolean;
  codec?: RTCRtpCodec;
}

/** The browser's estimate for the path in use, bits per second. Pure. */
export function estimated(stats: RTCStatsReport): number | null {
  const entries = [...stats.values()] as Record<string, unknown>[];
  const chosen = entries.find(({ type }) => type === "transport")?.selectedCandidatePairId;
  const bps = entries.find(({ type, id }) => type === "candidate-pair" && id === chosen)?.availableOutgoingBitrate;
  return typeof bps === "number" && bps > 0 ? Math.round(bps) : null;
}

/** What an encoding becomes; `before` is what it was when the track was published. Pure. */
export function encodingFor(uplink: Uplink, before: Encoding, opus: RTCRtpCodec | null, lowBps: number): Encoding {
  const { codec: _codec, ...rest } = before;
  switch (uplink) {
    case "off":
      return { ...before, active: false };
    case "normal":
      return { ...before, active: true };
    case "low":
      // Redundant copies (RED) would double the rate: plain Opus, where the browser lets one choose.
      return { ...rest, active: true, maxBitrate: lowBps, adaptivePtime: true, ...(opus && { codec: opus }) };
  }
}

/** Applies wishes to whichever sender the microphone has, one after another, the newest last. */
export class UplinkControl {
  private wish: Uplink = "normal";
  /** Of `low`; 0 for the others, and likewise `appliedBps`. */
  private wishBps = 0;
  private sender: RTCRtpSender | null = null;
  private applied: Uplink = "normal";
  private appliedBps = 0;
  private before: Encoding | null = null;
  private queue: Promise<void> = Promise.resolve();

  /** What was carried out last. */
  get now(): Uplink {
    return this.sender ? this.applied : "normal";
  }

  /** Call whenever the wish, how low `low` is, or the sender may have changed. */
  set(sender: RTCRtpSender | null, wish: Uplink, lowBps: number): void {
    if (sender !== this.sender) {
      this.sender = sender;
      this.applied = "normal";
      this.appliedBps = 0;
      this.before = null;
    }
    const bps = wish === "low" ? lowBps : 0;
    if (wish === this.wish && bps === this.wishBps && this.carriedOut(wish, bps)) return;
    this.wish = wish;
    this.wishBps = bps;
    this.queue = this.queue.then(() => this.apply()).catch(() => {});
  }

  private carriedOut(wish: Uplink, bps: number): boolean {
    return wish === this.applied && bps === this.appliedBps;
  }

  private async apply(): Promise<void> {
    const { sender, wish, wishBps } = this;
    if (!sender || this.carriedOut(wish, wishBps)) return;
    const parameters = sender.getParameters();
    const [encoding] = parameters.encodings;
    // Not negotiated yet: the next call tries again.
    if (!encoding) return;
    this.before ??= { ...encoding };
    const opus = parameters.codecs.find((codec) => codec.mimeType.toLowerCase() === "audio/opus") ?? null;
    try {
      parameters.encodings = [encodingFor(wish, this.before, opus, wishBps)];
      await sender.setParameters(parameters);
    } catch {
      // A browser that knows fewer parameters: what matters is whether and how much.
      const plain = sender.getParameters();
      plain.encodings = [{ ...plain.encodings[0], active: wish !== "off", ...(wish === "low" && { maxBitrate: wishBps }) }];
      await sender.setParameters(plain);
    }
    if (sender !== this.sender) return;
    this.applied = wish;
    this.appliedBps = wishBps;
  }
}
