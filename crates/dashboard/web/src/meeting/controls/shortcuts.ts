// Single keys, only while nobody types and no menu is open; they can be turned off in the settings.
import { useEffect, useRef } from "react";

export type ShortcutKey = "m" | "v" | "s" | "h" | "c" | "p" | "f" | "g" | "e" | "?" | "Escape";
export type Shortcuts = Partial<Record<ShortcutKey, () => void>>;

const KEY = "aura.shortcuts";

export const shortcutsEnabled = (): boolean => localStorage.getItem(KEY) !== "off";

export function setShortcutsEnabled(on: boolean): void {
  if (on) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, "off");
}

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable) return true;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "range", "button"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

function busyElsewhere(): boolean {
  return document.querySelector("dialog[open], [role=menu]") !== null;
}

export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  useEffect(() => {
    latest.current = shortcuts;
  });
  useEffect(() => {
    const down = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
      if (event.key !== "Escape" && (typing(event.target) || !shortcutsEnabled())) return;
      if (busyElsewhere()) return;
      const name = (event.key.length === 1 ? event.key.toLowerCase() : event.key) as ShortcutKey;
      const run = latest.current[name];
      if (!run) return;
      event.preventDefault();
      run();
    };
    document.addEventListener("keydown", down);
    return () => document.removeEventListener("keydown", down);
  }, []);
}

/** Holding the space bar talks while muted, unless a control has the focus: there it presses it. */
export function usePushToTalk(muted: boolean, setMic: (on: boolean) => Promise<void>, onTalk: (talking: boolean) => void): void {
  const latest = useRef({ muted, setMic, onTalk });
  useEffect(() => {
    latest.current = { muted, setMic, onTalk };
  });
  useEffect(() => {
    let talking = false;
    const down = (event: KeyboardEvent) => {
      const free = event.target === document.body || (event.target instanceof HTMLElement && event.target.matches(".meeting, .meeting *:not(button, a, input, select, textarea, [tabindex])"));
      if (event.code !== "Space" || event.repeat || !free || !shortcutsEnabled() || busyElsewhere()) return;
      event.preventDefault();
      if (talking || !latest.current.muted) return;
      talking = true;
      latest.current.onTalk(true);
      void latest.current.setMic(true);
    };
    const stop = () => {
      if (!talking) return;
      talking = false;
      latest.current.onTalk(false);
      void latest.current.setMic(false);
    };
    const up = (event: KeyboardEvent) => event.code === "Space" && stop();
    document.addEventListener("keydown", down);
    document.addEventListener("keyup", up);
    addEventListener("blur", stop);
    return () => {
      stop();
      document.removeEventListener("keydown", down);
      document.removeEventListener("keyup", up);
      removeEventListener("blur", stop);
    };
  }, []);
}
