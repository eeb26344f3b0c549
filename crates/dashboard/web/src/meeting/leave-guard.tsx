// Nobody falls out of a meeting by a key: the browser's Back asks first, and so does the browser itself before it closes
// the tab or goes to another address.
import { useEffect, useState } from "react";
import { guardBack } from "../router/router";
import { Confirm } from "../ui/dialog";
import { useMeeting } from "./context";
import { t } from "./strings";

interface LeaveGuardProps {
  /** What leaving is called here. */
  action: string;
  onLeave(): void;
}

/** Guards as long as it is shown. */
export function LeaveGuard({ action, onLeave }: LeaveGuardProps) {
  const { kind } = useMeeting();
  const [asking, setAsking] = useState(false);
  useEffect(() => guardBack(() => setAsking(true)), []);
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, []);
  if (!asking) return null;
  const [title, text] = kind === "call" ? [t("leave_call_title"), t("leave_call_text")] : [t("leave_title"), t("leave_text")];
  return <Confirm title={title} text={text} action={action} onConfirm={onLeave} onClose={() => setAsking(false)} />;
}
