// One error type for everything the dashboard can refuse, and for not reaching it at all.
import { area } from "../i18n/translate";

const t = area("problem", {
  unreachable: "The server cannot be reached. Check your connection and try again.",
  unavailable: "The service is not available right now. Try again in a moment.",
  rate_limited: "Too many attempts. Wait a moment and try again.",
  too_large: "That is too large.",
  unknown: "Something went wrong. Try again.",
});

export interface FieldProblem {
  field: string;
  message: string;
}

export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    /** HTTP status; 0 when there was no answer. */
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fields: FieldProblem[] = [],
    readonly requestId: string | null = null,
  ) {
    super(message);
  }

  field(name: string): string | undefined {
    return this.fields.find((problem) => problem.field === name)?.message;
  }

  /** Worth trying again unchanged. */
  get transient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

function fallback(status: number): string {
  if (status === 0) return t("unreachable");
  if (status === 413) return t("too_large");
  if (status === 429) return t("rate_limited");
  if (status >= 500) return t("unavailable");
  return t("unknown");
}

export function unreachable(): ApiError {
  return new ApiError(0, "unreachable", t("unreachable"));
}

/** Reads an RFC 9457 body; anything else becomes a plain message for its status. */
export function problemFrom(status: number, body: unknown): ApiError {
  if (typeof body === "object" && body !== null) {
    const problem = body as Record<string, unknown>;
    const fields = Array.isArray(problem["errors"]) ? (problem["errors"] as FieldProblem[]) : [];
    const text = (name: string) => (typeof problem[name] === "string" ? (problem[name] as string) : "");
    // 5xx details are for operators; people get the plain sentence.
    const message = status >= 500 ? fallback(status) : text("detail") || text("title") || fallback(status);
    return new ApiError(status, text("code") || "unknown", message, fields, text("request_id") || null);
  }
  return new ApiError(status, "unknown", fallback(status));
}

export function messageOf(error: unknown): string {
  return error instanceof ApiError ? error.message : t("unknown");
}
