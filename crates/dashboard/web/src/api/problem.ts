// One error type for everything the dashboard can refuse, and for not reaching it at all. Its message is for people;
// what the server wrote for programmers is kept beside it and shown to nobody.
import { codeText, fieldWords, wordsFor, type Code } from "./words";

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
    /** The server's own words, for logs. */
    readonly detail: string = "",
    readonly fields: FieldProblem[] = [],
    readonly requestId: string | null = null,
  ) {
    super(wordsFor(code, status));
  }

  /** What to say beside the field, if it is the one at fault. */
  field(name: string): string | undefined {
    return this.fields.some((problem) => problem.field === name) ? fieldWords(name) : undefined;
  }

  /** Worth trying again unchanged. */
  get transient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export function unreachable(): ApiError {
  return new ApiError(0, "unreachable");
}

/** Reads an RFC 9457 body; anything else is told by its status. */
export function problemFrom(status: number, body: unknown): ApiError {
  if (typeof body !== "object" || body === null) return new ApiError(status, "");
  const problem = body as Record<string, unknown>;
  const fields = Array.isArray(problem["errors"]) ? (problem["errors"] as FieldProblem[]) : [];
  const text = (name: string) => (typeof problem[name] === "string" ? (problem[name] as string) : "");
  return new ApiError(status, text("code"), text("detail") || text("title"), fields, text("request_id") || null);
}

/** What to show for a failure. `own` are better words where the operation knows what a code means. */
export function messageOf(error: unknown, own: Partial<Record<Code, string>> = {}): string {
  if (!(error instanceof ApiError)) return codeText("unknown");
  return own[error.code as Code] ?? error.message;
}
