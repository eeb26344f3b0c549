// The microphone's Opus, as RTP: stopped, low or normal, without negotiating anew. The track stays published and
// unmuted, so for everybody else nothing changes but where the sound comes from.

export type Uplink = "off" | "low" | "normal";

/** Wideband Opus at its least: what a slow link can still carry beside the packets' own headers. */
export const LOW_BPS = 16_000;

/** Parameters newer than TypeScript's list. */
interface Encoding extends RTCRtpEncodingParameters {
  /** Packets up to 60 ms while the link is slow. */
  adaptivePtime?: boolean;
  codec?: RTCRtpCodec;
}

/** What an encoding becomes; `before` is what it was when the track was published. Pure. */
export function encodingFor(uplink: Uplink, before: Encoding, opus: RTCRtpCodec | null): Encoding {
  const { codec: _codec, ...rest } = before;
  switch (uplink) {
    case "off":
      return { ...before, active: false };
    case "normal":
      return { ...before, active: true };
    case "low":
      // Redundant copies (RED) would double the rate: plain Opus, where the browser lets one choose.
      return { ...rest, active: true, maxBitrate: LOW_BPS, adaptivePtime: true, ...(opus && { codec: opus }) };
  }
}

/** Applies wishes to whichever sender the microphone has, one after another, the newest last. */
export class UplinkControl {
  private wish: Uplink = "normal";
  private sender: RTCRtpSender | null = null;
  private applied: Uplink = "normal";
  private before: Encoding | null = null;
  private queue: Promise<void> = Promise.resolve();

  /** What was carried out last. */
  get now(): Uplink {
    return this.sender ? this.applied : "normal";
  }

  /** Call whenever the wish or the sender may have changed. */
  set(sender: RTCRtpSender | null, wish: Uplink): void {
    if (sender !== this.sender) {
      this.sender = sender;
      this.applied = "normal";
      this.before = null;
    }
    if (wish === this.wish && wish === this.applied) return;
    this.wish = wish;
    this.queue = this.queue.then(() => this.apply()).catch(() => {});
  }

  private async apply(): Promise<void> {
    const { sender, wish } = this;
    if (!sender || wish === this.applied) return;
    const parameters = sender.getParameters();
    const [encoding] = parameters.encodings;
    // Not negotiated yet: the next call tries again.
    if (!encoding) return;
    this.before ??= { ...encoding };
    const opus = parameters.codecs.find((codec) => codec.mimeType.toLowerCase() === "audio/opus") ?? null;
    try {
      parameters.encodings = [encodingFor(wish, this.before, opus)];
      await sender.setParameters(parameters);
    } catch {
      // A browser that knows fewer parameters: what matters is whether and how much.
      const plain = sender.getParameters();
      plain.encodings = [{ ...plain.encodings[0], active: wish !== "off", ...(wish === "low" && { maxBitrate: LOW_BPS }) }];
      await sender.setParameters(plain);
    }
    if (sender === this.sender) this.applied = wish;
  }
}
