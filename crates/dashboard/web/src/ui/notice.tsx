import type { ReactNode } from "react";
import { messageOf } from "../api/problem";
import { Button } from "./button";
import { Icon, type IconName } from "./icon";
import { t } from "./strings";

type Kind = "error" | "warning" | "info" | "success";

const icons: Record<Kind, IconName> = { error: "warning", warning: "warning", info: "info", success: "check" };

/** A sentence inside the page; errors are announced. */
export function Notice({ kind, children, action }: { kind: Kind; children: ReactNode; action?: ReactNode }) {
  return (
    <div className={`notice notice-${kind}`} role={kind === "error" ? "alert" : "status"}>
      <Icon name={icons[kind]} size={18} />
      <div className="notice-text">{children}</div>
      {action}
    </div>
  );
}

export function Spinner({ label = t("loading") }: { label?: string }) {
  return (
    <div className="loading" role="status">
      <span className="spinner" />
      <span className="visually-hidden">{label}</span>
    </div>
  );
}

export function LoadFailed({ error, retry }: { error: unknown; retry(): void }) {
  return (
    <Notice kind="error" action={<Button small onClick={retry}>{t("try_again")}</Button>}>
      {messageOf(error)}
    </Notice>
  );
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <span className="empty-icon">
        <Icon name={icon} size={22} />
      </span>
      <p className="empty-title">{title}</p>
      {children && <p className="empty-text">{children}</p>}
    </div>
  );
}
