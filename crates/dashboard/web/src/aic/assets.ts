// Where the codec and its model are. `make web` puts the files beside this one; a build without them works, and says
// that AIC is unavailable.
import type { Files } from "./messages";

const urls = import.meta.glob<string>("./files/*.{wasm,json,onnx,f16}", { query: "?url", import: "default", eager: true });

const NAMES: Record<keyof Files, string> = {
  wasm: "aic.wasm",
  manifest: "manifest.json",
  encoder: "encoder.onnx",
  decoder: "decoder.onnx",
  codebooks: "codebooks.f16",
};

const urlOf = (name: string): string | undefined => urls[`./files/${name}`];

export const built = (): boolean => Object.values(NAMES).every((name) => urlOf(name) !== undefined);

/** Fetches everything; the browser keeps it for good, since the names change with the contents. */
export async function files(signal?: AbortSignal): Promise<Files> {
  const parts = Object.entries(NAMES).map(async ([part, name]) => {
    const url = urlOf(name);
    if (!url) throw new Error(`${name} is not in this build`);
    const response = await fetch(url, signal ? { signal } : {});
    if (!response.ok) throw new Error(`${name}: ${response.status}`);
    return [part, await response.arrayBuffer()] as const;
  });
  return Object.fromEntries(await Promise.all(parts)) as unknown as Files;
}

interface Connection {
  saveData?: boolean;
  type?: string;
}

let fetched = false;

/**
 * Has the browser keep the files while there is plenty of bandwidth: once there is little, nine megabytes are too much.
 * Not for people who pay by the byte.
 */
export async function prefetch(): Promise<void> {
  const { connection } = navigator as { connection?: Connection };
  if (fetched || !built() || connection?.saveData || connection?.type === "cellular") return;
  fetched = true;
  try {
    for (const name of Object.values(NAMES)) {
      const response = await fetch(urlOf(name) as string, { priority: "low" });
      await response.arrayBuffer();
    }
  } catch {
    // What is missing is fetched when it is needed.
  }
}
