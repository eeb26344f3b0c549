// What can be listened to: `/samples/index.json`, made by scripts/make-samples.mjs. Read with suspicion: a file that
// does not fit is as good as none. Pure, but for `loadCatalogue`.

export const FORMAT = 1;
const ROOT = "/samples/";

export interface Scores {
  /** The project's own online score, 0 to 1. */
  quality?: number;
  /** PESQ wide band, 1 to 4.64. */
  pesq?: number;
  /** STOI, 0 to 1. */
  stoi?: number;
  /** DNSMOS P.808, 1 to 5. */
  dnsmos?: number;
}

export interface Variant {
  /** `original`, `opus-12`, `aic-1.5` … */
  id: string;
  codec: "original" | "opus" | "aic";
  /** Payload as measured on this clip; for the original, of the PCM. */
  kbps: number;
  url: string;
  scores: Scores;
}

export interface Clip {
  id: string;
  title: string;
  /** BCP 47. */
  language: string;
  /** What is said. */
  text: string;
  /** Who is to be thanked, and the licence. */
  credit: string;
  duration_s: number;
  variants: Variant[];
}

export interface Catalogue {
  /** The model that made the AIC variants. */
  model: string;
  clips: Clip[];
}

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string | null => (typeof value === "string" && value.length > 0 ? value : null);
const positive = (value: unknown): number | null => (typeof value === "number" && value > 0 && value < 1e6 ? value : null);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** A file of ours: no scheme, no way up. */
const isFile = (path: string) => /^[\w.-]+\/[\w.-]+\.(flac|wav|m4a|webm|ogg)$/.test(path) && !path.includes("..");

function readScores(value: unknown): Scores {
  if (!isObject(value)) return {};
  const scores: Scores = {};
  for (const name of ["quality", "pesq", "stoi", "dnsmos"] as const) {
    const score = value[name];
    if (typeof score === "number" && Number.isFinite(score)) scores[name] = score;
  }
  return scores;
}

function readVariant(value: unknown): Variant | null {
  if (!isObject(value)) return null;
  const [id, codec, file] = [text(value["id"]), text(value["codec"]), text(value["file"])];
  const kbps = positive(value["kbps"]);
  if (!id || !file || !isFile(file) || kbps === null) return null;
  if (codec !== "original" && codec !== "opus" && codec !== "aic") return null;
  return { id, codec, kbps, url: ROOT + file, scores: readScores(value["scores"]) };
}

function readClip(value: unknown): Clip | null {
  if (!isObject(value)) return null;
  const [id, title] = [text(value["id"]), text(value["title"])];
  const duration_s = positive(value["duration_s"]);
  const variants = list(value["variants"]).map(readVariant).filter((variant) => variant !== null);
  if (!id || !title || duration_s === null || variants.length < 2) return null;
  return {
    id,
    title,
    duration_s,
    variants: variants.sort((a, b) => rank(a) - rank(b) || a.kbps - b.kbps),
    language: text(value["language"]) ?? "en",
    text: text(value["text"]) ?? "",
    credit: text(value["credit"]) ?? "",
  };
}

const rank = (variant: Variant) => ["original", "aic", "opus"].indexOf(variant.codec);

/** The catalogue, or null when nothing in it can be listened to. */
export function readCatalogue(value: unknown): Catalogue | null {
  if (!isObject(value) || value["format"] !== FORMAT) return null;
  const clips = list(value["clips"]).map(readClip).filter((clip) => clip !== null);
  return clips.length === 0 ? null : { model: text(value["model"]) ?? "", clips };
}

/** Null: this installation has no samples. Throws when the server cannot be reached. */
export async function loadCatalogue(send: typeof fetch = fetch): Promise<Catalogue | null> {
  const response = await send(`${ROOT}index.json`);
  if (!response.ok) return null;
  return readCatalogue(await response.json().catch(() => null));
}
