import { describe, expect, it } from "vitest";
import { match, paths, safeNext } from "./routes";

describe("routes", () => {
  it("knows every page", () => {
    expect(match("/")).toEqual({ name: "home" });
    expect(match("/room/abc/")).toEqual({ name: "room", id: "abc" });
    expect(match("/join/a%2Fb")).toEqual({ name: "join", token: "a/b" });
    expect(match("/call/1")).toEqual({ name: "call", id: "1" });
    expect(match("/share/t")).toEqual({ name: "share", token: "t" });
    expect(match("/audio")).toEqual({ name: "audio" });
    expect(match(paths.listen)).toEqual({ name: "listen" });
    expect(match("/settings")).toEqual({ name: "settings" });
  });

  it("refuses what it does not know, and broken escapes", () => {
    expect(match("/nope")).toEqual({ name: "not-found" });
    expect(match("/room")).toEqual({ name: "not-found" });
    expect(match("/audio/shout")).toEqual({ name: "not-found" });
    expect(match("/room/a/b")).toEqual({ name: "not-found" });
    expect(match("/room/%E0%A4%A")).toEqual({ name: "not-found" });
  });

  it("goes back only to this site", () => {
    expect(match("/login", "?next=%2Froom%2F1")).toEqual({ name: "login", next: "/room/1" });
    expect(safeNext("https://evil.example")).toBeNull();
    expect(safeNext("//evil.example")).toBeNull();
    expect(safeNext("/\\evil.example")).toBeNull();
  });

  it("writes paths that it can read", () => {
    expect(match(paths.join("a/b c"))).toEqual({ name: "join", token: "a/b c" });
    expect(paths.login("/")).toBe("/login");
    expect(paths.login("/room/1")).toBe("/login?next=%2Froom%2F1");
  });
});
