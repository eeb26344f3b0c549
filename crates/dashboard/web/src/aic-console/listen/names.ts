import { currentLocale } from "../../i18n/translate";
import type { Scores, Variant } from "./catalogue";
import { t } from "./strings";

const number = (value: number, digits: number) =>
  value.toLocaleString(currentLocale(), { maximumFractionDigits: digits });

const score = (value: number) =>
  value.toLocaleString(currentLocale(), { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** The rate a variant is named after: `aic-1.5` → 1.5. */
export function nominal(id: string): number | null {
  const value = Number(id.split("-")[1]);
  return Number.isFinite(value) && value > 0 ? value : null;
}

export function variantName({ id, codec, kbps }: Pick<Variant, "id" | "codec"> & { kbps?: number }): string {
  const rate = nominal(id) ?? kbps;
  if (codec === "original" || rate === undefined) return t("original");
  return t(codec, { kbps: number(rate, 1) });
}

export function scoreTexts(scores: Scores): string[] {
  const texts: string[] = [];
  if (scores.quality !== undefined) texts.push(t("quality", { value: score(scores.quality) }));
  if (scores.pesq !== undefined) texts.push(t("pesq", { value: score(scores.pesq) }));
  if (scores.stoi !== undefined) texts.push(t("stoi", { value: score(scores.stoi) }));
  if (scores.dnsmos !== undefined) texts.push(t("dnsmos", { value: score(scores.dnsmos) }));
  return texts;
}

export function variantNote(variant: Variant): string {
  if (variant.codec === "original") return t("original_note");
  const texts = [t("measured", { kbps: number(variant.kbps, 1) })];
  if (variant.codec === "aic") texts.push(t("times_less", { times: number(32 / variant.kbps, 0) }));
  return texts.join(" · ");
}
