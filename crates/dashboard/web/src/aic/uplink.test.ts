import { describe, expect, it } from "vitest";
import { encodingFor, estimated, LOW_BPS, UplinkControl, type Uplink } from "./uplink";

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

describe("the browser's estimate", () => {
  const pair = (id: string, availableOutgoingBitrate?: number) => [id, { id, type: "candidate-pair", availableOutgoingBitrate }] as const;
  const stats = (...entries: (readonly [string, object])[]) => new Map(entries) as unknown as RTCStatsReport;
  const transport = ["t", { id: "t", type: "transport", selectedCandidatePairId: "b" }] as const;

  it("is that of the path in use", () => {
    expect(estimated(stats(pair("a", 1e6), transport, pair("b", 24_000.4)))).toBe(24_000);
  });

  it("may be missing", () => {
    for (const report of [stats(), stats(transport), stats(transport, pair("b")), stats(transport, pair("b", 0))]) {
      expect(estimated(report)).toBeNull();
    }
  });
});

describe("Opus on the way out", () => {
  it("is stopped, low, or what it was", () => {
    const before = { active: true, maxBitrate: 48_000 };
    expect(encodingFor("off", before, opus, 9_000)).toEqual({ active: false, maxBitrate: 48_000 });
    expect(encodingFor("low", before, opus, 9_000)).toEqual({ active: true, maxBitrate: 9_000, adaptivePtime: true, codec: opus });
    expect(encodingFor("low", before, null, 9_000)).not.toHaveProperty("codec");
    expect(encodingFor("normal", before, opus, 9_000)).toEqual(before);
  });

  it("ends at the last wish, whatever came between", async () => {
    const { state, rtp } = sender();
    const control = new UplinkControl();
    for (const wish of ["low", "off", "low", "off"] satisfies Uplink[]) control.set(rtp, wish, LOW_BPS);
    await settled();
    expect(control.now).toBe("off");
    expect(state.encodings[0]?.active).toBe(false);
    control.set(rtp, "normal", LOW_BPS);
    await settled();
    expect(state.encodings).toEqual([{ active: true, maxBitrate: 48_000 }]);
  });

  it("is applied anew to a new sender, and not twice to the same", async () => {
    const [first, second] = [sender(), sender()];
    const control = new UplinkControl();
    control.set(first.rtp, "off", LOW_BPS);
    await settled();
    control.set(first.rtp, "off", LOW_BPS);
    await settled();
    expect(first.state.calls).toBe(1);
    control.set(second.rtp, "off", LOW_BPS);
    expect(control.now).toBe("normal");
    await settled();
    expect([control.now, second.state.encodings[0]?.active]).toEqual(["off", false]);
  });

  it("does without what a browser does not know", async () => {
    const { state, rtp } = sender(true);
    const control = new UplinkControl();
    control.set(rtp, "low", LOW_BPS);
    await settled();
    expect(state.encodings).toEqual([{ active: true, maxBitrate: LOW_BPS }]);
  });

  it("follows the rung while it is low, and only then", async () => {
    const { state, rtp } = sender();
    const control = new UplinkControl();
    for (const bps of [20_000, 9_000]) {
      control.set(rtp, "low", bps);
      await settled();
      expect(state.encodings[0]?.maxBitrate).toBe(bps);
    }
    control.set(rtp, "low", 9_000);
    await settled();
    expect(state.calls).toBe(2);
    control.set(rtp, "off", 9_000);
    control.set(rtp, "off", 6_000);
    await settled();
    expect(state.calls).toBe(3);
  });
});
