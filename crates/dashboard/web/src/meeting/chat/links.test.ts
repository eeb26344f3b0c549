import { describe, expect, it } from "vitest";
import { linkify } from "./links";

const links = (text: string) => linkify(text).filter(({ href }) => href !== null).map(({ text, href }) => [text, href]);

describe("links in a message", () => {
  it("keeps the text around them whole", () => {
    expect(linkify("see https://a.example/x?y=1. ok")).toEqual([
      { text: "see ", href: null },
      { text: "https://a.example/x?y=1", href: "https://a.example/x?y=1" },
      { text: ". ok", href: null },
    ]);
    for (const text of ["", "a (www.x.org), b@c.de!", "www.", "https://", "x@y", "((https://a.example/(b)))"]) {
      expect(linkify(text).map((part) => part.text).join("")).toBe(text);
    }
  });

  it("finds addresses without a scheme, and e-mail", () => {
    expect(links("www.example.org and WWW.Example.org/A?b#c")).toEqual([
      ["www.example.org", "https://www.example.org"],
      ["WWW.Example.org/A?b#c", "https://WWW.Example.org/A?b#c"],
    ]);
    expect(links("write to ada.l+x@mail.example.org, please")).toEqual([
      ["ada.l+x@mail.example.org", "mailto:ada.l+x@mail.example.org"],
    ]);
    expect(links("http://localhost:8080/room")).toEqual([["http://localhost:8080/room", "http://localhost:8080/room"]]);
  });

  it("leaves the sentence's own marks out, and the address's own in", () => {
    expect(links("(see www.example.org).")[0]?.[0]).toBe("www.example.org");
    expect(links("https://en.wikipedia.org/wiki/Go_(game)!")[0]?.[0]).toBe("https://en.wikipedia.org/wiki/Go_(game)");
    expect(links("“https://a.example/b”, she said")[0]?.[0]).toBe("https://a.example/b");
    expect(links("https://a.example/b?c=d…")[0]?.[0]).toBe("https://a.example/b?c=d");
    expect(links("mail a@b.example.")[0]?.[0]).toBe("a@b.example");
  });

  it("makes no link of anything else", () => {
    const nothing = ["javascript:alert(1)", "data:text/html,x", "www.", "www.x", "a@b", "@ada.aura", "1.2.3", "https://", "x.www.y.z", "wwww.a.b", "file:///etc/passwd"];
    for (const text of nothing) expect([text, links(text)]).toEqual([text, []]);
    const schemes = linkify("https://a.b javascript:alert(1) www.a.org a@b.org").map(({ href }) => href?.split(":")[0]);
    expect(new Set(schemes)).toEqual(new Set(["https", "mailto", undefined]));
  });

  it("reads the longest message there is at once", () => {
    const started = performance.now();
    for (const text of ["a".repeat(4000), "a@".repeat(2000), "www.".repeat(1000), `https://${")".repeat(3990)}`, "a.a-".repeat(1000)]) linkify(text);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
