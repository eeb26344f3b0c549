// Short messages that come and go in a polite live region. They belong to the screen they were raised on: the next one
// starts without them. A screen may say where they appear, so that they cover none of its labels.
import { useLayoutEffect, useState, useSyncExternalStore } from "react";
import { createPortal } from "react-dom";
import { IconButton } from "./button";
import { Icon, type IconName } from "./icon";
import { t } from "./strings";

export interface Toast {
  id: number;
  text: string;
  icon?: IconName | undefined;
  action?: { label: string; run(): void } | undefined;
}

interface State {
  toasts: readonly Toast[];
  /** Where they appear; null: the page's own place. */
  place: HTMLElement | null;
}

const MOST = 3;

let state: State = { toasts: [], place: null };
let nextId = 1;
const listeners = new Set<() => void>();

function set(change: Partial<State>) {
  state = { ...state, ...change };
  for (const listener of listeners) listener();
}

export function dismiss(id: number): void {
  set({ toasts: state.toasts.filter((toast) => toast.id !== id) });
}

export function toast(text: string, options: { icon?: IconName; action?: Toast["action"]; ms?: number } = {}): number {
  const id = nextId++;
  // The same sentence twice helps nobody.
  const others = state.toasts.filter((other) => other.text !== text);
  set({ toasts: [...others, { id, text, icon: options.icon, action: options.action }].slice(-MOST) });
  setTimeout(() => dismiss(id), options.ms ?? 6000);
  return id;
}

/** Ends with the calling screen: what was said on it, and what was said before `screen` changed. */
export function useToastScreen(screen: unknown): void {
  useLayoutEffect(() => () => set({ toasts: [] }), [screen]);
}

/** A box of the calling screen in which toasts appear as long as it is there. */
export function ToastPlace() {
  const [element, setElement] = useState<HTMLElement | null>(null);
  useLayoutEffect(() => {
    if (!element) return;
    set({ place: element });
    return () => {
      if (state.place === element) set({ place: null });
    };
  }, [element]);
  return <div className="toast-place" ref={setElement} />;
}

export function Toasts() {
  const { toasts, place } = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );
  const list = (
    <div className={place ? "toasts" : "toasts toasts-page"} role="status" aria-live="polite">
      {toasts.map((item) => (
        <div className="toast" key={item.id} data-testid="toast">
          {item.icon && <Icon name={item.icon} size={18} />}
          <span className="toast-text">{item.text}</span>
          {item.action && (
            <button
              type="button"
              className="toast-action"
              onClick={() => {
                item.action?.run();
                dismiss(item.id);
              }}
            >
              {item.action.label}
            </button>
          )}
          <IconButton icon="close" size={16} label={t("dismiss")} onClick={() => dismiss(item.id)} />
        </div>
      ))}
    </div>
  );
  return place ? createPortal(list, place) : list;
}
