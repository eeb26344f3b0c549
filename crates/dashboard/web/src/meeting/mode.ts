// One peer connection or two. `?pc=dual` or `?single=0` in any address asks for two; the wish lasts as
// long as the tab, since calls and rooms are reached by links that do not carry it.

export type PeerConnectionMode = "single" | "dual";

const KEY = "aura.pc";

export function parseMode(search: string): PeerConnectionMode | null {
  const query = new URLSearchParams(search);
  const asked = query.get("pc");
  if (asked === "dual" || asked === "single") return asked;
  const single = query.get("single");
  return single === null ? null : single === "0" ? "dual" : "single";
}

export function rememberMode(): void {
  const asked = parseMode(location.search);
  if (asked) sessionStorage.setItem(KEY, asked);
}

export function peerConnectionMode(): PeerConnectionMode {
  rememberMode();
  return sessionStorage.getItem(KEY) === "dual" ? "dual" : "single";
}
