import { afterEach, describe, expect, it } from "vitest";
import { area, format, plural, useLanguage } from "./translate";

afterEach(() => useLanguage("en", {}));

describe("translate", () => {
  const t = area("greeting", { hello: "Hello {name}", bye: "Goodbye" });

  it("fills placeholders and leaves unknown ones visible", () => {
    expect(t("hello", { name: "Ada" })).toBe("Hello Ada");
    expect(format("{a} and {b}", { a: 1 })).toBe("1 and {b}");
  });

  it("uses another language where it has the key, English elsewhere", () => {
    useLanguage("de", { greeting: { hello: "Hallo {name}" } });
    expect(t("hello", { name: "Ada" })).toBe("Hallo Ada");
    expect(t("bye")).toBe("Goodbye");
  });

  it("picks plural forms", () => {
    const forms = { one: "1 person", other: "many people" };
    expect(plural(1, forms)).toBe("1 person");
    expect(plural(0, forms)).toBe("many people");
  });
});
