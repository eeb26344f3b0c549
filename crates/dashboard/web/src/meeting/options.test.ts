import { describe, expect, it } from "vitest";
import { parseMode } from "./mode";
import { PatientReconnect, roomOptions } from "./options";
import { parse } from "../prejoin/preferences";

describe("meeting options", () => {
  it("chooses the peer connection mode from the address", () => {
    expect(parseMode("")).toBeNull();
    expect(parseMode("?single=0")).toBe("dual");
    expect(parseMode("?single=1")).toBe("single");
    expect(parseMode("?pc=dual")).toBe("dual");
    expect(parseMode("?pc=single&single=0")).toBe("single");
    expect(parseMode("?pc=other")).toBeNull();
    expect(roomOptions(parse(null), "dual").singlePeerConnection).toBe(false);
  });

  it("retries soon, then every two seconds, then hands over", () => {
    const policy = new PatientReconnect();
    expect(policy.nextRetryDelayInMs({ retryCount: 0, elapsedMs: 0 })).toBe(0);
    expect(policy.nextRetryDelayInMs({ retryCount: 50, elapsedMs: 90_000 })).toBe(2000);
    expect(policy.nextRetryDelayInMs({ retryCount: 60, elapsedMs: 121_000 })).toBeNull();
  });
});
