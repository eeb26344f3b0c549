import { useEffect } from "react";

/** Reads something again every so often while the page is looked at, and when it is looked at again. */
export function useFresh(reload: () => void, everyMs: number): void {
  useEffect(() => {
    const seen = () => document.visibilityState === "visible" && reload();
    const timer = setInterval(seen, everyMs);
    document.addEventListener("visibilitychange", seen);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [reload, everyMs]);
}
