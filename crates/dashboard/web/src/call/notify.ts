// A call that rings while nobody looks at the page: a notification of the system's, for those who asked for it.
import { useEffect, useRef, useSyncExternalStore } from "react";
import type { Call, Person } from "../api/types";
import { cut } from "../i18n/brief";
import { t } from "./strings";

/** `unsupported` also where the page came over plain HTTP. */
export type Permission = "unsupported" | "default" | "granted" | "denied";

const listeners = new Set<() => void>();

function permission(): Permission {
  return "Notification" in globalThis && globalThis.isSecureContext ? Notification.permission : "unsupported";
}

export function useNotificationPermission(): Permission {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    // It may have been changed in the browser's settings meanwhile.
    document.addEventListener("visibilitychange", listener);
    return () => {
      listeners.delete(listener);
      document.removeEventListener("visibilitychange", listener);
    };
  }, permission);
}

/** Only after a click that asked for it. */
export async function askForNotifications(): Promise<void> {
  await Notification.requestPermission();
  for (const listener of listeners) listener();
}

/** Shown while the call rings and the page is hidden; gone once either ends. A click brings the call up. */
export function useCallNotification(call: Call | null, caller: Person | null, onClick: (callId: string) => unknown): void {
  const id = call?.id;
  const latest = useRef(onClick);
  useEffect(() => {
    latest.current = onClick;
  });
  useEffect(() => {
    if (!call || !caller) return;
    let shown: Notification | null = null;
    const follow = () => {
      if (document.visibilityState === "visible" || permission() !== "granted") {
        shown?.close();
        shown = null;
      } else {
        shown ??= show(call, caller, (callId) => latest.current(callId));
      }
    };
    follow();
    document.addEventListener("visibilitychange", follow);
    return () => {
      document.removeEventListener("visibilitychange", follow);
      shown?.close();
    };
    // The call's later states ring on; another call is another notification.
  }, [id]);
}

function show(call: Call, caller: Person, onClick: (callId: string) => unknown): Notification | null {
  try {
    const notification = new Notification(cut(caller.display_name, 60), {
      body: call.media === "video" ? t("incoming_video") : t("incoming_audio"),
      // The tabs of one browser share it.
      tag: call.id,
      icon: "/icon.svg",
      requireInteraction: true,
    });
    notification.onclick = () => {
      window.focus();
      notification.close();
      onClick(call.id);
    };
    return notification;
  } catch {
    // Some phones only let service workers notify; there the page rings as it can.
    return null;
  }
}
