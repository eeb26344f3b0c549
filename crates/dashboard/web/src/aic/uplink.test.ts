import { describe, expect, it } from "vitest";
import { encodingFor, LOW_BPS, UplinkControl, type Uplink } from "./uplink";

const opus = { mimeType: "audio/opus", clockRate: 48_000, channels: 2, payloadType: 111 };
const red = { mimeType: "audio/red", clockRate: 48_000, channels: 2, payloadType: 63 };

/** As much of a sender as the control touches; `strict` knows no parameter that is not in the standard. */
function sender(strict = false) {
  const state = { encodings: [{ active: true, maxBitrate: 48_000 }] as RTCRtpEncodingParameters[], calls: 0 };
  const fake = {
    getParameters: () => ({ codecs: [red, opus], encodings: state.encodings.map((encoding) => ({ ...encoding })) }),
    setParameters: async ({ encodings }: { encodings: RTCRtpEncodingParameters[] }) => {
      if (strict && encodings.some((encoding) => "adaptivePtime" in encoding)) throw new TypeError("unknown member");
      state.encodings = encodings;
      state.calls += 1;
    },
  };
  return { state, rtp: fake as unknown as RTCRtpSender };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

describe("Opus on the way out", () => {
  it("is stopped, low, or what it was", () => {
    const before = { active: true, maxBitrate: 48_000 };
    expect(encodingFor("off", before, opus)).toEqual({ active: false, maxBitrate: 48_000 });
    expect(encodingFor("low", before, opus)).toEqual({ active: true, maxBitrate: LOW_BPS, adaptivePtime: true, codec: opus });
    expect(encodingFor("low", before, null)).not.toHaveProperty("codec");
    expect(encodingFor("normal", before, opus)).toEqual(before);
  });

  it("ends at the last wish, whatever came between", async () => {
    const { state, rtp } = sender();
    const control = new UplinkControl();
    for (const wish of ["low", "off", "low", "off"] satisfies Uplink[]) control.set(rtp, wish);
    await settled();
    expect(control.now).toBe("off");
    expect(state.encodings[0]?.active).toBe(false);
    control.set(rtp, "normal");
    await settled();
    expect(state.encodings).toEqual([{ active: true, maxBitrate: 48_000 }]);
  });

  it("is applied anew to a new sender, and not twice to the same", async () => {
    const [first, second] = [sender(), sender()];
    const control = new UplinkControl();
    control.set(first.rtp, "off");
    await settled();
    control.set(first.rtp, "off");
    await settled();
    expect(first.state.calls).toBe(1);
    control.set(second.rtp, "off");
    expect(control.now).toBe("normal");
    await settled();
    expect([control.now, second.state.encodings[0]?.active]).toEqual(["off", false]);
  });

  it("does without what a browser does not know", async () => {
    const { state, rtp } = sender(true);
    const control = new UplinkControl();
    control.set(rtp, "low");
    await settled();
    expect(state.encodings).toEqual([{ active: true, maxBitrate: LOW_BPS }]);
  });
});
