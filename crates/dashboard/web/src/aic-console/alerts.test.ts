import { expect, it } from "vitest";
import type { AicAlert } from "../api/types";
import { recent } from "./alerts";

const alert = (id: string, resolved_at: string | null): AicAlert => ({
  id,
  rule: "fallback_rate",
  value: 0.2,
  threshold: 0.05,
  started_at: "2026-11-01T10:00:00Z",
  fired_at: "2026-11-01T10:10:00Z",
  resolved_at,
});

it("shows what still holds, however old, and what ended within a week", () => {
  const alerts = [alert("new", "2026-11-20T10:00:00Z"), alert("old", "2026-11-02T10:00:00Z"), alert("holds", null)];
  expect(recent(alerts, Date.parse("2026-11-21T10:00:00Z")).map(({ id }) => id)).toEqual(["new", "holds"]);
});
