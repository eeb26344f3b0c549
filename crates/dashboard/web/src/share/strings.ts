import { area } from "../i18n/translate";

export const t = area("share", {
  title: "Shared file",
  intro: "Somebody shared this file with you.",
  password: "Password",
  password_hint: "The person who sent the link knows it",
  wrong_password: "The password is not right.",
  download: "Download",
  downloaded: "The download has started.",
  until: "Available until {date}",
  missing_title: "This link does not work",
  missing: "It has expired, was withdrawn or was used up. Ask for a new one.",
  failed_title: "The file could not be opened",
  retry: "Try again",
  home: "Go to the start page",
  log_in: "Log in to AuraLink",
});
