import { area } from "../i18n/translate";

export const t = area("ui", {
  close: "Close",
  cancel: "Cancel",
  copy: "Copy",
  copied: "Copied",
  loading: "Loading…",
  try_again: "Try again",
  dismiss: "Dismiss",
  show_password: "Show password",
  hide_password: "Hide password",
});
