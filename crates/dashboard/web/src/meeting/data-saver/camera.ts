// One's own camera while data are saved: its smallest layer alone, slow and cheap, without negotiating anew. The larger
// layers keep being switched by who watches (dynacast); here they are held off and given back as they were wanted last.

/** What the smallest layer may cost. */
export const MAX_BPS = 120_000;
export const MAX_FPS = 12;

type Encoding = RTCRtpEncodingParameters;

/** The smallest layer's place: encodings are told apart by how much they scale down. Pure. */
export function smallest(encodings: readonly Encoding[]): number {
  const scales = encodings.map(({ scaleResolutionDownBy = 1 }) => scaleResolutionDownBy);
  return scales.indexOf(Math.max(...scales));
}

/** What the encodings become. Pure. */
export function saving(encodings: readonly Encoding[]): Encoding[] {
  const least = smallest(encodings);
  return encodings.map((encoding, index) =>
    index === least
      ? { ...encoding, maxBitrate: Math.min(encoding.maxBitrate ?? MAX_BPS, MAX_BPS), maxFramerate: Math.min(encoding.maxFramerate ?? MAX_FPS, MAX_FPS) }
      : { ...encoding, active: false },
  );
}

/** True if `saving` would change nothing. Pure. */
export function saves(encodings: readonly Encoding[]): boolean {
  return saving(encodings).every((wanted, index) => {
    const now = encodings[index];
    return now?.active === wanted.active && now?.maxBitrate === wanted.maxBitrate && now?.maxFramerate === wanted.maxFramerate;
  });
}

/** As before, with the layers on that are wanted now. Pure. */
export function restored(now: readonly Encoding[], before: readonly Encoding[], wanted: readonly boolean[]): Encoding[] {
  const least = smallest(now);
  return now.map((encoding, index) => {
    const { maxBitrate: _rate, maxFramerate: _frames, ...rest } = encoding;
    const { maxBitrate, maxFramerate } = before[index] ?? {};
    return {
      ...rest,
      active: index === least ? encoding.active : (wanted[index] ?? true),
      ...(maxBitrate !== undefined && { maxBitrate }),
      ...(maxFramerate !== undefined && { maxFramerate }),
    };
  });
}

/** Holds whichever sender the camera has to the wish; called again and again, since others change it too. */
export class CameraSaver {
  private sender: RTCRtpSender | null = null;
  private before: Encoding[] | null = null;
  private wanted: boolean[] = [];
  private busy = false;

  async step(sender: RTCRtpSender | null, save: boolean): Promise<void> {
    if (this.busy) return;
    if (sender !== this.sender) {
      this.sender = sender;
      this.before = null;
    }
    if (!sender || (!save && !this.before)) return;
    const parameters = sender.getParameters();
    const { encodings } = parameters;
    // Not negotiated yet: the next step tries again.
    if (encodings.length === 0) return;
    if (save && !this.before) {
      this.before = encodings.map((encoding) => ({ ...encoding }));
      this.wanted = encodings.map(({ active }) => active ?? true);
    }
    // A layer that is on again was wanted by somebody since.
    if (save) this.wanted = this.wanted.map((was, index) => was || encodings[index]?.active === true);
    if (save && saves(encodings)) return;
    parameters.encodings = save ? saving(encodings) : restored(encodings, this.before ?? [], this.wanted);
    this.busy = true;
    try {
      await sender.setParameters(parameters);
      if (!save) this.before = null;
    } catch {
      // Somebody else changed them in between, or the track is gone: the next step tries again.
    } finally {
      this.busy = false;
    }
  }
}
