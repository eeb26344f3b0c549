// The one script that the page may start as a worker. The content policy names this Trusted Types policy and no
// other, so no text from anywhere else can become a script's address.

interface Policy {
  createScriptURL(url: string): string;
}

interface TrustedTypes {
  createPolicy(name: string, rules: Policy): Policy;
}

let policy: Policy | null = null;

/** `url` as the worker's address, where the browser asks for more than text. */
function trusted(url: string): string {
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  if (!types) return url;
  policy ??= types.createPolicy("auralink-worker", {
    createScriptURL: (wanted) => {
      if (new URL(wanted, location.href).origin !== location.origin) throw new TypeError("not one of our workers");
      return wanted;
    },
  });
  return policy.createScriptURL(url);
}

export const startWorker = (url: string, name: string): Worker => new Worker(trusted(url), { type: "module", name });
