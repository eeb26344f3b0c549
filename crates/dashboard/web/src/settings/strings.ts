import { area } from "../i18n/translate";

export const t = area("settings", {
  title: "Settings",
  profile: "Profile",
  display_name: "Your name",
  display_name_hint: "Shown to people you meet",
  email: "Email",
  aura_id: "Your id",
  aura_id_hint: "Others find and call you with it",
  save: "Save",
  saved: "Saved",
  appearance: "Appearance",
  theme: "Theme",
  system: "As the system",
  light: "Light",
  dark: "Dark",
  meetings: "Meetings",
  shortcuts: "Single-key shortcuts",
  shortcuts_hint: "M for the microphone, V for the camera, and so on",
  session: "Session",
  log_out: "Log out",
  log_out_text: "Ends the session in this browser, in all its tabs.",
});
