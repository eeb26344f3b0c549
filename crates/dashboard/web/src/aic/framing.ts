// What stands in front of a payload on the data track `aic`: two bytes, big-endian. Bit 15 says that the
// sender's Opus is paused, so that this is all there is to hear; bits 14–0 count 20 ms frames and name the first
// one in the packet. A packet without payload ends AIC: go back to Opus. Pure.

export const TRACK_NAME = "aic";
/** Attribute: the model this client can decode right now. */
export const MODEL_ATTRIBUTE = "aic.model";
/** Attribute: `1` while this client asks for little data. */
export const WANT_ATTRIBUTE = "aic.want";

const HEADER = 2;
const ONLY = 0x8000;
const MODULUS = 0x8000;

export interface Packet {
  /** Number of the first frame, modulo 32 768. */
  frame: number;
  opusPaused: boolean;
  /** Empty: AIC ends here. */
  payload: Uint8Array;
}

export function write(frame: number, opusPaused: boolean, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER + payload.length);
  const word = (frame % MODULUS) | (opusPaused ? ONLY : 0);
  bytes[0] = word >> 8;
  bytes[1] = word & 0xff;
  bytes.set(payload, HEADER);
  return bytes;
}

/** Null for anything too short to be a packet. */
export function read(bytes: Uint8Array): Packet | null {
  const [high, low] = bytes;
  if (high === undefined || low === undefined) return null;
  const word = (high << 8) | low;
  return { frame: word & (MODULUS - 1), opusPaused: (word & ONLY) !== 0, payload: bytes.subarray(HEADER) };
}

/** The full number that `frame` stands for, as near to `last` as the 15 bits allow. */
export function unwrap(frame: number, last: number): number {
  const forward = (((frame - last) % MODULUS) + MODULUS) % MODULUS;
  return last + (forward < MODULUS / 2 ? forward : forward - MODULUS);
}
