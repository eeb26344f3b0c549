// What people read when the server refuses something. The server's own sentences are for those who program against it;
// here every code of its table (crates/aura-types/src/error_code.rs) and every field a form sends has words.
import { area } from "../i18n/translate";

export const codeText = area("problem", {
  unreachable: "The server cannot be reached. Check your connection and try again.",
  unknown: "Something went wrong. Try again.",
  invalid_argument: "Something in what you entered is not accepted. Check it and try again.",
  unauthenticated: "You are not logged in any more. Log in and try again.",
  permission_denied: "You are not allowed to do this.",
  not_found: "This is not here any more.",
  already_exists: "This exists already.",
  failed_precondition: "This is not possible right now.",
  resource_exhausted: "That was too much at once. Wait a moment and try again.",
  payload_too_large: "That is too large.",
  unsupported_media_type: "This kind of content is not accepted.",
  unavailable: "The service is not available right now. Try again in a moment.",
  deadline_exceeded: "The server took too long. Try again in a moment.",
  internal: "Something went wrong on the server. Try again in a moment.",
});

export type Code = Parameters<typeof codeText>[0];

export const fieldText = area("field", {
  other: "This is not accepted. Check it and try again.",
  display_name: "A name has 1 to 80 characters, all of them visible.",
  name: "A name has 1 to 100 characters, all of them visible.",
  email: "This is not an e-mail address.",
  password: "This password is not accepted. Choose another one.",
  q: "Type at least two letters.",
});

/** For answers that are no problem document: a proxy's, or none at all. */
function codeOf(status: number): Code {
  switch (status) {
    case 0:
      return "unreachable";
    case 401:
      return "unauthenticated";
    case 403:
      return "permission_denied";
    case 404:
      return "not_found";
    case 413:
      return "payload_too_large";
    case 429:
      return "resource_exhausted";
    case 504:
      return "deadline_exceeded";
    default:
      return status >= 500 ? "unavailable" : "unknown";
  }
}

/** The sentence for a code; for one that is not known, its status decides. */
export const wordsFor = (code: string, status: number): string => codeText(codeText.has(code) ? code : codeOf(status));

/** What to say beside a field at fault. */
export const fieldWords = (name: string): string => fieldText(fieldText.has(name) ? name : "other");
