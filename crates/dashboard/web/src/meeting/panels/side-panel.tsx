// The frame of chat, people and files: a column on wide screens, a sheet over the stage on phones.
import { useEffect, useRef, type ReactNode } from "react";
import { IconButton } from "../../ui/button";
import { t } from "../strings";
import "./panels.css";

export function SidePanel({ title, onClose, children }: { title: string; onClose(): void; children: ReactNode }) {
  const root = useRef<HTMLElement>(null);
  // The focus returns to where it was when the panel goes, if it was in the panel.
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const panel = root.current;
    return () => {
      if (!document.activeElement || document.activeElement === document.body || panel?.contains(document.activeElement)) {
        before?.focus?.();
      }
    };
  }, []);
  return (
    <aside className="panel" aria-label={title} ref={root}>
      <header className="panel-head">
        <h2>{title}</h2>
        <IconButton icon="close" label={t("close_panel")} onClick={onClose} />
      </header>
      {children}
    </aside>
  );
}
