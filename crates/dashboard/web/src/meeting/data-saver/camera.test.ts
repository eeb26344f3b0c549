import { describe, expect, it } from "vitest";
import { CameraSaver, MAX_BPS, MAX_FPS, restored, saves, saving } from "./camera";

const three = () => [
  { rid: "q", active: true, scaleResolutionDownBy: 4, maxBitrate: 160_000, maxFramerate: 20 },
  { rid: "h", active: true, scaleResolutionDownBy: 2, maxBitrate: 450_000, maxFramerate: 20 },
  { rid: "f", active: false, scaleResolutionDownBy: 1, maxBitrate: 1_700_000, maxFramerate: 30 },
];

/** A sender as the browser keeps one. */
class Sender {
  constructor(public encodings: RTCRtpEncodingParameters[]) {}
  getParameters = () => ({ encodings: this.encodings.map((one) => ({ ...one })) }) as RTCRtpSendParameters;
  setParameters = async (parameters: RTCRtpSendParameters) => {
    this.encodings = parameters.encodings;
  };
}

describe("a camera that saves data", () => {
  it("sends its smallest layer, slowly", () => {
    const saved = saving(three());
    expect(saved.map(({ active }) => active)).toEqual([true, false, false]);
    expect(saved[0]).toMatchObject({ maxBitrate: MAX_BPS, maxFramerate: MAX_FPS });
    expect(saves(three())).toBe(false);
    expect(saves(saved)).toBe(true);
    expect(saving(three().reverse()).map(({ active }) => active)).toEqual([false, false, true]);
  });

  it("saves with one layer too, and leaves one off that nobody watches", () => {
    expect(saving([{ active: true }])).toEqual([{ active: true, maxBitrate: MAX_BPS, maxFramerate: MAX_FPS }]);
    expect(saving([{ active: false }])[0]?.active).toBe(false);
    expect(restored(saving([{ active: true }]), [{ active: true }], [true])).toEqual([{ active: true }]);
  });

  it("comes back as it was wanted, whoever wanted it meanwhile", async () => {
    const sender = new Sender(three());
    const saver = new CameraSaver();
    const step = (save: boolean) => saver.step(sender as unknown as RTCRtpSender, save);
    await step(true);
    expect(saves(sender.encodings)).toBe(true);
    // Somebody wants the large picture: dynacast switches it on, and it is held off again.
    sender.encodings = sender.encodings.map((one) => (one.rid === "f" ? { ...one, active: true } : one));
    await step(true);
    expect(sender.encodings.map(({ active }) => active)).toEqual([true, false, false]);
    await step(false);
    expect(sender.encodings).toEqual(three().map((one) => ({ ...one, active: true })));
    await step(false);
    expect(sender.encodings).toEqual(three().map((one) => ({ ...one, active: true })));
  });
});
