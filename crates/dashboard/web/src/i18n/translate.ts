// Text shown to people, one typed dictionary per area. English lives beside its area; another
// language is a second set of dictionaries handed to `useLanguage`, and missing keys fall back to
// English. No markup in strings.

type Placeholder<S extends string> = S extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholder<Rest>
  : never;

type Arguments<S extends string> = [Placeholder<S>] extends [never]
  ? []
  : [values: Record<Placeholder<S>, string | number>];

export type Dictionary = Record<string, string>;
export type Translations = Record<string, Dictionary>;

let translations: Translations = {};
let language = "en";

export function useLanguage(code: string, dictionaries: Translations): void {
  language = code;
  translations = dictionaries;
}

/** For dates and numbers: the person's own variety of the language that is shown. */
export function currentLocale(): string {
  const own = typeof navigator === "undefined" ? "" : (navigator.language ?? "");
  return own.split("-")[0] === language ? own : language;
}

export function format(text: string, values?: Record<string, string | number>): string {
  if (!values) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : String(value);
  });
}

/** Declares an area's strings and returns its `t`. `t.has` tells the keys from other text. */
export function area<const D extends Dictionary>(name: string, english: D) {
  function t<K extends keyof D & string>(key: K, ...args: Arguments<D[K]>): string {
    const text = translations[name]?.[key] ?? english[key] ?? key;
    return format(text, args[0] as Record<string, string | number> | undefined);
  }
  const has = (key: string): key is keyof D & string => Object.hasOwn(english, key);
  return Object.assign(t, { has });
}

/** Picks the plural form for `count` by the language's own rules. */
export function plural(count: number, forms: Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }): string {
  const rule = new Intl.PluralRules(language).select(count);
  return forms[rule] ?? forms.other;
}
