import { paths } from "../router/routes";
import { MessagePage } from "../shell/message-page";
import { Button, LinkButton } from "../ui/button";
import type { IconName } from "../ui/icon";
import type { EndReason } from "./connection";
import { t } from "./strings";

const icons: Record<EndReason, IconName> = {
  left: "leave",
  elsewhere: "device",
  removed: "remove",
  "room-ended": "check",
  full: "people",
  refused: "lock",
  gone: "lock",
  failed: "warning",
};

export function EndedPage({ reason, onRejoin, guest }: { reason: EndReason; onRejoin(): void; guest: boolean }) {
  // Asking again changes nothing until somebody else acts.
  const final = reason === "gone" || reason === "room-ended" || reason === "removed";
  return (
    <MessagePage icon={icons[reason]} title={t(`ended_${reason}_title`)} text={reason === "removed" && guest ? t("ended_removed_guest") : t(`ended_${reason}`)}>
      {!final && (
        <Button look="primary" onClick={onRejoin} data-testid="rejoin">
          {reason === "elsewhere" ? t("join_here") : t("rejoin")}
        </Button>
      )}
      {!guest && <LinkButton to={paths.home}>{t("home")}</LinkButton>}
    </MessagePage>
  );
}
