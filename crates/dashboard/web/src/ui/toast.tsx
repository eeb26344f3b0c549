// Short messages that come and go in a polite live region.
import { useSyncExternalStore } from "react";
import { IconButton } from "./button";
import { Icon, type IconName } from "./icon";
import { t } from "./strings";

export interface Toast {
  id: number;
  text: string;
  icon?: IconName | undefined;
  action?: { label: string; run(): void } | undefined;
}

let toasts: readonly Toast[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

function set(next: readonly Toast[]) {
  toasts = next;
  for (const listener of listeners) listener();
}

export function dismiss(id: number): void {
  set(toasts.filter((toast) => toast.id !== id));
}

export function toast(text: string, options: { icon?: IconName; action?: Toast["action"]; ms?: number } = {}): number {
  const id = nextId++;
  // The same sentence twice helps nobody.
  set([...toasts.filter((other) => other.text !== text), { id, text, icon: options.icon, action: options.action }].slice(-3));
  setTimeout(() => dismiss(id), options.ms ?? 6000);
  return id;
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((item) => (
        <div className="toast" key={item.id}>
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
}
