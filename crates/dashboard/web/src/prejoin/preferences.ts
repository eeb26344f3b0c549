// What this browser remembers about microphone, camera and the name a guest used.

export interface MediaPreferences {
  micOn: boolean;
  camOn: boolean;
  audioInput: string;
  videoInput: string;
  audioOutput: string;
}

const KEY = "aura.media";
const NAME_KEY = "aura.guest-name";

const DEFAULTS: MediaPreferences = { micOn: true, camOn: true, audioInput: "", videoInput: "", audioOutput: "" };

/** Unknown or damaged entries fall back to the defaults one by one. */
export function parse(text: string | null): MediaPreferences {
  let stored: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    if (typeof value === "object" && value !== null) stored = value as Record<string, unknown>;
  } catch {
    // Damaged: start over.
  }
  const flag = (name: "micOn" | "camOn") => (typeof stored[name] === "boolean" ? (stored[name] as boolean) : DEFAULTS[name]);
  const id = (name: "audioInput" | "videoInput" | "audioOutput") =>
    typeof stored[name] === "string" ? (stored[name] as string) : DEFAULTS[name];
  return {
    micOn: flag("micOn"),
    camOn: flag("camOn"),
    audioInput: id("audioInput"),
    videoInput: id("videoInput"),
    audioOutput: id("audioOutput"),
  };
}

export const loadPreferences = (): MediaPreferences => parse(localStorage.getItem(KEY));

export function savePreferences(change: Partial<MediaPreferences>): MediaPreferences {
  const merged = { ...loadPreferences(), ...change };
  localStorage.setItem(KEY, JSON.stringify(merged));
  return merged;
}

export const loadGuestName = (): string => localStorage.getItem(NAME_KEY) ?? "";
export const saveGuestName = (name: string): void => localStorage.setItem(NAME_KEY, name);
