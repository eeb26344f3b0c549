import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DISPLAY_NAME_MAX, ROOM_NAME_MAX } from "./limits";
import { ApiError, messageOf, problemFrom } from "./problem";
import { codeText, fieldWords, wordsFor } from "./words";

const table = readFileSync(new URL("../../../../aura-types/src/error_code.rs", import.meta.url), "utf8");
const codes = [...table.matchAll(/^ {4}[A-Z]\w+ = "(\w+)";$/gm)].map(([, code]) => code as string);

const refusal = (status: number, code: string, detail: string, errors: unknown[] = []) =>
  problemFrom(status, { type: "about:blank", title: "Not possible now", status, code, detail, errors, request_id: "r-1" });

describe("what a refusal says", () => {
  it("has words for every code of the server's table", () => {
    expect(codes.length).toBeGreaterThanOrEqual(12);
    expect(codes.filter((code) => !codeText.has(code))).toEqual([]);
    for (const code of codes) expect(wordsFor(code, 400)).toMatch(/^[A-Z].*\.$/);
  });

  it("never shows what the server wrote for programmers", () => {
    for (const code of [...codes, "made_up"]) {
      const error = refusal(409, code, "callee_id: must be somebody else");
      expect(error.detail).toContain("callee_id");
      expect(messageOf(error)).not.toMatch(/callee_id|Not possible now/);
    }
  });

  it("says beside a field what the field wants", () => {
    const errors = [{ field: "email", message: "must be an e-mail address" }, { field: "gpu.device_id", message: "1..4" }];
    const error = refusal(400, "invalid_argument", "email: must be an e-mail address", errors);
    expect(error.field("email")).toBe("This is not an e-mail address.");
    expect(error.field("gpu.device_id")).not.toContain("1..4");
    expect(error.field("password")).toBeUndefined();
  });

  it("knows the server's own limits", () => {
    const rules = readFileSync(new URL("../../../src/engine/text.rs", import.meta.url), "utf8");
    for (const [field, most] of [["display_name", DISPLAY_NAME_MAX], ["name", ROOM_NAME_MAX]] as const) {
      expect(rules).toContain(`"${field}", line, ${most})`);
      expect(fieldWords(field)).toContain(`1 to ${most} characters`);
    }
  });

  it("goes by the status where there is no code", () => {
    expect(messageOf(problemFrom(502, "<html>bad gateway</html>"))).toBe(codeText("unavailable"));
    expect(messageOf(problemFrom(413, null))).toBe(codeText("payload_too_large"));
    expect(messageOf(new ApiError(0, "unreachable"))).toBe(codeText("unreachable"));
    expect(messageOf(new Error("x"))).toBe(codeText("unknown"));
  });

  it("takes an operation's own words first", () => {
    const error = refusal(409, "failed_precondition", "the call is over");
    expect(messageOf(error, { failed_precondition: "This call is over." })).toBe("This call is over.");
    expect(messageOf(error, { not_found: "Gone." })).toBe(codeText("failed_precondition"));
  });
});
