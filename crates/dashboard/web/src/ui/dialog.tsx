// Modal dialogs on the native <dialog>: the browser traps focus, closes on Escape and gives focus
// back to where it was. Inside it begins at what is marked `data-autofocus`, else at the first thing that takes it.
import { useId, useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { messageOf } from "../api/problem";
import { Button, IconButton } from "./button";
import { Notice } from "./notice";
import { t } from "./strings";

interface DialogProps {
  title: string;
  onClose(): void;
  children: ReactNode;
  wide?: boolean;
}

export function Dialog({ title, onClose, children, wide }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  // Closed while it is still there: the browser gives the focus back only then.
  useLayoutEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
    dialog?.querySelector<HTMLElement>("[data-autofocus]")?.focus();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      className={wide ? "dialog dialog-wide" : "dialog"}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => event.target === ref.current && onClose()}
    >
      <div className="dialog-body">
        <div className="dialog-head">
          <h2 id={titleId}>{title}</h2>
          <IconButton icon="close" label={t("close")} onClick={onClose} />
        </div>
        {children}
      </div>
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  action: string;
  onConfirm(): Promise<void> | void;
  onClose(): void;
}

/** Asks before something that cannot be taken back; stays open and says why if it fails. */
export function Confirm({ title, text, action, onConfirm, onClose }: ConfirmProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await onConfirm();
      onClose();
    } catch (failure) {
      setError(messageOf(failure));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <p className="dialog-text">{text}</p>
      {error && <Notice kind="error">{error}</Notice>}
      <div className="dialog-actions">
        <Button onClick={onClose}>{t("cancel")}</Button>
        <Button look="danger" busy={busy} onClick={() => void run()} data-testid="confirm">
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
