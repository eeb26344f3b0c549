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

addEventListener("popstate", changed);

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (options.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  changed();
  scrollTo(0, 0);
}

/** Changes the address without leaving the page that is shown (a reload then opens `to`). */
export function rewriteAddress(to: string): void {
  history.replaceState(null, "", to);
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
