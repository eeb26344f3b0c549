import { describe, expect, it } from "vitest";
import { parse } from "./preferences";

describe("media preferences", () => {
  it("starts with microphone and camera on", () => {
    expect(parse(null)).toMatchObject({ micOn: true, camOn: true, audioInput: "" });
  });

  it("keeps what is sound and drops the rest", () => {
    expect(parse('{"micOn":false,"camOn":"yes","audioInput":"mic-1","extra":1}')).toEqual({
      micOn: false,
      camOn: true,
      audioInput: "mic-1",
      videoInput: "",
      audioOutput: "",
    });
    expect(parse("{broken").micOn).toBe(true);
    expect(parse("null").camOn).toBe(true);
  });
});
