// The address bar as a value. Pure: no history, no React.

export type Route =
  | { name: "home" }
  | { name: "login"; next: string | null }
  | { name: "register"; next: string | null }
  | { name: "settings" }
  | { name: "files" }
  | { name: "audio" }
  | { name: "listen" }
  | { name: "room"; id: string }
  | { name: "join"; token: string }
  | { name: "call"; id: string }
  | { name: "share"; token: string }
  | { name: "not-found" };

/** Only a path on this site may be a place to go back to. */
export function safeNext(next: string | null): string | null {
  if (!next || !next.startsWith("/") || next.startsWith("//") || next.includes("\\")) return null;
  return next;
}

function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

export function match(pathname: string, search = ""): Route {
  const segments = pathname.split("/").filter(Boolean).map(decode);
  if (segments.includes(null)) return { name: "not-found" };
  const [first, second, ...rest] = segments as string[];
  if (rest.length > 0) return { name: "not-found" };
  const query = new URLSearchParams(search);

  if (second === undefined) {
    switch (first) {
      case undefined:
        return { name: "home" };
      case "login":
      case "register":
        return { name: first, next: safeNext(query.get("next")) };
      case "settings":
      case "files":
      case "audio":
        return { name: first };
      default:
        return { name: "not-found" };
    }
  }
  switch (first) {
    case "audio":
      return { name: second === "listen" ? "listen" : "not-found" };
    case "room":
    case "call":
      return { name: first, id: second };
    case "join":
    case "share":
      return { name: first, token: second };
    default:
      return { name: "not-found" };
  }
}

export const paths = {
  home: "/",
  settings: "/settings",
  files: "/files",
  audio: "/audio",
  listen: "/audio/listen",
  room: (id: string) => `/room/${encodeURIComponent(id)}`,
  join: (token: string) => `/join/${encodeURIComponent(token)}`,
  call: (id: string) => `/call/${encodeURIComponent(id)}`,
  login: (next?: string) => (next && next !== "/" ? `/login?next=${encodeURIComponent(next)}` : "/login"),
  register: (next?: string) => (next && next !== "/" ? `/register?next=${encodeURIComponent(next)}` : "/register"),
};
