import { area } from "../i18n/translate";

export const t = area("shell", {
  home: "Home",
  files: "Files",
  audio: "Audio",
  settings: "Settings",
  log_out: "Log out",
  account: "Account",
  skip: "Skip to content",
  navigation: "Main",
  reconnecting: "Reconnecting to the server…",
  not_found_title: "There is nothing here",
  not_found: "The address may be mistyped, or the link may have been withdrawn.",
  go_home: "Go to the start page",
  crashed_title: "This page stopped working",
  crashed: "Reload to continue. If you were in a meeting, you come straight back to it.",
  reload: "Reload",
});
