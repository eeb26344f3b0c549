import { useState } from "react";
import { Button } from "./button";
import { t } from "./strings";

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A link to hand out: selectable, with a button that copies it. */
export function CopyLink({ value, label, testId }: { value: string; label: string; testId?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    if (!(await copyText(value))) return;
    setCopied(true);
    setTimeout(() => setCopied(false), 2500);
  };
  return (
    <div className="copy-link">
      <input readOnly value={value} aria-label={label} data-testid={testId} onFocus={(event) => event.target.select()} />
      <Button look="primary" icon={copied ? "check" : "copy"} onClick={() => void copy()}>
        <span aria-live="polite">{copied ? t("copied") : t("copy")}</span>
      </Button>
    </div>
  );
}
