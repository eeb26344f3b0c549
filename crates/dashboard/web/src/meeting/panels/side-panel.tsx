// The frame of chat, people and files: a column on wide screens, a sheet over the stage on phones.
import { useEffect, useRef, useState, type ReactNode } from "react";
import { IconButton } from "../../ui/button";
import type { PanelName } from "../context";
import { t } from "../strings";
import "./panels.css";

interface SidePanelProps {
  name: PanelName;
  title: string;
  onClose(): void;
  children: ReactNode;
}

export function SidePanel({ name, title, onClose, children }: SidePanelProps) {
  const root = useRef<HTMLElement>(null);
  // Read before anything in the panel can take the focus.
  const [before] = useState(() => document.activeElement);
  // The focus returns to where it was when the panel goes, if it was in the panel; to the panel's own button where it
  // came from a key or from something that is gone.
  useEffect(() => {
    const panel = root.current;
    return () => {
      const now = document.activeElement;
      if (now && now !== document.body && !panel?.contains(now)) return;
      const opener = before?.isConnected && before !== document.body ? before : document.querySelector(`[data-panel="${name}"]`);
      (opener as HTMLElement | null)?.focus();
    };
  }, [before, name]);
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
