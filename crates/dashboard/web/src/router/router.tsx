// History and links. A link is a real <a>, so opening it in a new tab works as anywhere else.
import { useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from "react";
import { match, type Route } from "./routes";

const listeners = new Set<() => void>();
let snapshot = { href: location.pathname + location.search, route: match(location.pathname, location.search) };

function changed() {
  const href = location.pathname + location.search;
  if (href === snapshot.href) return;
  snapshot = { href, route: match(location.pathname, location.search) };
  for (const listener of listeners) listener();
}

// Back out of something that should not be left unasked: a second entry of the same address lies on top of the page's
// own. Back takes it away, it is put back, and the page asks.
const GUARD = "guard";
const guarded = () => (history.state as { kind?: unknown } | null)?.kind === GUARD;
let guard: { address: string; ask(): void } | null = null;

/** From now on Back calls `ask` and nothing else, until the returned function is called. */
export function guardBack(ask: () => void): () => void {
  const mine = { address: location.pathname + location.search, ask };
  guard = mine;
  // After a reload it is there still.
  if (!guarded()) history.pushState({ kind: GUARD }, "", mine.address);
  return () => {
    if (guard !== mine) return;
    guard = null;
    // Not if the page has moved on in the same breath, or guards again.
    setTimeout(() => !guard && guarded() && history.back());
  };
}

addEventListener("popstate", () => {
  if (!guard) return changed();
  history.pushState({ kind: GUARD }, "", guard.address);
  guard.ask();
});

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (options.replace || guarded()) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  changed();
  scrollTo(0, 0);
}

/** Changes the address without leaving the page that is shown (a reload then opens `to`). */
export function rewriteAddress(to: string): void {
  history.replaceState(null, "", to);
  snapshot = { ...snapshot, href: location.pathname + location.search };
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, () => snapshot.route);
}

type LinkProps = AnchorHTMLAttributes<HTMLAnchorElement> & { to: string };

export function Link({ to, onClick, ...rest }: LinkProps) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (event.defaultPrevented || !plain) return;
    event.preventDefault();
    navigate(to);
  };
  return <a href={to} onClick={follow} {...rest} />;
}
