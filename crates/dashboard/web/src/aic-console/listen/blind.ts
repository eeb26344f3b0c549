// The blind comparison: two unnamed variants of a clip, a choice, then their names. Pure; chance comes in as a
// function.
import type { Catalogue, Clip, Variant } from "./catalogue";

export type Choice = "a" | "b" | "same";

export interface Trial {
  clip: Clip;
  /** The two, in the order they are offered. */
  a: Variant;
  b: Variant;
}

export interface Answer {
  trial: Trial;
  choice: Choice;
}

/** Comparisons that tell something: our rates against Opus's, against each other, and against the original. */
const PAIRS: [string, string][] = [
  ["aic-6", "opus-12"],
  ["aic-6", "opus-24"],
  ["aic-3", "opus-12"],
  ["aic-6", "original"],
  ["aic-3", "aic-6"],
  ["aic-6", "opus-32"],
  ["aic-1.5", "aic-3"],
  ["aic-1.5", "opus-6"],
];

type Chance = () => number;

function shuffled<T>(values: T[], chance: Chance): T[] {
  const result = [...values];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(chance() * (last + 1));
    [result[last], result[other]] = [result[other]!, result[last]!];
  }
  return result;
}

/** Every pair once, each with a clip that has both, clips taking turns; order and sides by chance. */
export function makeTrials(catalogue: Catalogue, chance: Chance = Math.random): Trial[] {
  const clips = shuffled(catalogue.clips, chance);
  const trials = shuffled(PAIRS, chance).flatMap((pair, turn): Trial[] => {
    for (let step = 0; step < clips.length; step++) {
      const clip = clips[(turn + step) % clips.length]!;
      const [one, two] = pair.map((id) => clip.variants.find((variant) => variant.id === id));
      if (one && two) return [chance() < 0.5 ? { clip, a: one, b: two } : { clip, a: two, b: one }];
    }
    return [];
  });
  return trials;
}

export const preferred = ({ trial, choice }: Answer): Variant | null =>
  choice === "same" ? null : trial[choice];

export interface Standing {
  id: string;
  codec: Variant["codec"];
  won: number;
  lost: number;
  same: number;
}

/** How each variant fared over all comparisons it was in, best first. */
export function tally(answers: Answer[]): Standing[] {
  const standings = new Map<string, Standing>();
  const of = ({ id, codec }: Variant) => {
    const known = standings.get(id) ?? { id, codec, won: 0, lost: 0, same: 0 };
    standings.set(id, known);
    return known;
  };
  for (const answer of answers) {
    const better = preferred(answer);
    for (const variant of [answer.trial.a, answer.trial.b]) {
      const standing = of(variant);
      if (better === null) standing.same += 1;
      else if (better.id === variant.id) standing.won += 1;
      else standing.lost += 1;
    }
  }
  return [...standings.values()].sort((x, y) => y.won - y.lost - (x.won - x.lost) || x.id.localeCompare(y.id));
}
