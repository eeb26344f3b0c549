// A button that opens a small panel next to it. Escape or a click elsewhere closes it and gives the
// focus back; arrow keys move between menu items.
import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { Icon, type IconName } from "./icon";

interface PopoverProps {
  trigger: (props: { ref: React.Ref<HTMLButtonElement>; "aria-expanded": boolean; "aria-controls": string; "aria-haspopup": "dialog" | "menu"; onClick(): void }) => ReactNode;
  children: (close: () => void) => ReactNode;
  label: string;
  side?: "above" | "below";
  align?: "start" | "center" | "end";
  menu?: boolean;
}

export function Popover({ trigger, children, label, side = "below", align = "end", menu = false }: PopoverProps) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);

  const close = () => {
    setOpen(false);
    button.current?.focus();
  };

  useEffect(() => {
    if (!open) return;
    panel.current?.querySelector<HTMLElement>("button:not(:disabled), input:checked, select, input, a")?.focus();
    const outside = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (!open) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      close();
    } else if (menu && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const items = [...(panel.current?.querySelectorAll<HTMLElement>("[role^=menuitem]:not(:disabled)") ?? [])];
      const index = items.indexOf(document.activeElement as HTMLElement);
      const step = event.key === "ArrowDown" ? 1 : -1;
      items[(index + step + items.length) % items.length]?.focus();
    }
  };

  const onBlur = (event: React.FocusEvent) => {
    if (event.relatedTarget && !root.current?.contains(event.relatedTarget)) setOpen(false);
  };

  return (
    <div className="popover" ref={root} onKeyDown={onKeyDown} onBlur={onBlur}>
      {trigger({
        ref: button,
        "aria-expanded": open,
        "aria-controls": id,
        "aria-haspopup": menu ? "menu" : "dialog",
        onClick: () => setOpen(!open),
      })}
      {open && (
        <div
          id={id}
          ref={panel}
          className={`popover-panel popover-${side} popover-${align}${menu ? " menu" : ""}`}
          role={menu ? "menu" : "dialog"}
          aria-label={label}
        >
          {children(close)}
        </div>
      )}
    </div>
  );
}

interface MenuItemProps {
  icon?: IconName;
  danger?: boolean;
  disabled?: boolean;
  checked?: boolean;
  onSelect(): void;
  children: ReactNode;
  "data-testid"?: string;
}

export function MenuItem({ icon, danger, disabled, checked, onSelect, children, ...rest }: MenuItemProps) {
  return (
    <button
      type="button"
      role={checked === undefined ? "menuitem" : "menuitemcheckbox"}
      aria-checked={checked}
      className={danger ? "menu-item menu-item-danger" : "menu-item"}
      disabled={disabled}
      onClick={onSelect}
      {...rest}
    >
      {icon && <Icon name={icon} size={18} />}
      <span>{children}</span>
      {checked && <Icon name="check" size={16} />}
    </button>
  );
}
