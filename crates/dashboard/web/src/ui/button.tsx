import type { ButtonHTMLAttributes } from "react";
import { Icon, type IconName } from "./icon";
import { Link } from "../router/router";

type Look = "primary" | "secondary" | "quiet" | "danger";

interface Shape {
  look?: Look;
  icon?: IconName;
  small?: boolean;
}

function classes({ look = "secondary", small }: Shape, extra?: string) {
  return ["button", `button-${look}`, small && "button-small", extra].filter(Boolean).join(" ");
}

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & Shape & { busy?: boolean };

export function Button({ look, icon, small, busy, className, children, disabled, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={classes({ look, small }, className)}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      {...rest}
    >
      {busy ? <span className="spinner spinner-small" /> : icon && <Icon name={icon} size={small ? 16 : 18} />}
      {children}
    </button>
  );
}

type LinkButtonProps = Shape & { to: string; children: React.ReactNode; "data-testid"?: string; "aria-label"?: string };

export function LinkButton({ look, icon, small, children, ...rest }: LinkButtonProps) {
  return (
    <Link className={classes({ look, small })} {...rest}>
      {icon && <Icon name={icon} size={small ? 16 : 18} />}
      {children}
    </Link>
  );
}

type IconButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & { icon: IconName; label: string; size?: number; danger?: boolean };

/** A square button whose name is only spoken and shown as a tooltip. */
export function IconButton({ icon, label, size = 20, danger, className, ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      className={["icon-button", danger && "icon-button-danger", className].filter(Boolean).join(" ")}
      aria-label={label}
      title={label}
      {...rest}
    >
      <Icon name={icon} size={size} />
    </button>
  );
}
