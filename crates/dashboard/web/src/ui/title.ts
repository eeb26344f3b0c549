import { useEffect } from "react";

/** The page's name in the tab, and for screen readers after a change of page. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === "AuraLink" ? title : `${title} · AuraLink`;
  }, [title]);
}
