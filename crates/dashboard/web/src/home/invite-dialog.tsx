// Links into a room. The token of a link is shown once, by the server's design, so opening this
// dialog makes a link the first time and remembers it for as long as the page lives.
import { useEffect, useState } from "react";
import { messageOf } from "../api/problem";
import * as roomsApi from "../api/rooms";
import type { Invite, Room } from "../api/types";
import { api } from "../auth/current";
import { brief } from "../i18n/brief";
import { shortDate } from "../i18n/time";
import { plural } from "../i18n/translate";
import { Button } from "../ui/button";
import { CopyLink } from "../ui/copy";
import { Dialog } from "../ui/dialog";
import { Select, Switch } from "../ui/field";
import { Notice, Spinner } from "../ui/notice";
import { useAction, useResource } from "../ui/resource";
import { inviteText as t } from "./strings";

const shown = new Map<string, Promise<Invite>>();

/** The room's link of this page load; made on first use. */
export function inviteLink(roomId: string): Promise<Invite> {
  let invite = shown.get(roomId);
  if (!invite) {
    invite = roomsApi.createInvite(api, roomId);
    shown.set(roomId, invite);
    invite.catch(() => shown.delete(roomId));
  }
  return invite;
}

const HOUR = 3600;

export function InviteDialog({ room, onChanged, onClose }: { room: Room; onChanged?(room: Room): void; onClose(): void }) {
  const [invite, setInvite] = useState<Invite | null>(null);
  const [guests, setGuests] = useState(room.guests_allowed);
  const [lifetime, setLifetime] = useState("");
  const [uses, setUses] = useState("");
  const list = useResource(() => roomsApi.listInvites(api, room.id).then(({ items }) => items), room.id);

  const first = useAction(async () => {
    setInvite(await inviteLink(room.id));
    list.reload();
  });
  const another = useAction(async () => {
    const limits = {
      ...(lifetime && { expires_in_s: Number(lifetime) }),
      ...(uses && { max_uses: Number(uses) }),
    };
    const made = await roomsApi.createInvite(api, room.id, limits);
    shown.set(room.id, Promise.resolve(made));
    setInvite(made);
    list.reload();
  });
  const allowGuests = useAction(async (on: boolean) => {
    setGuests(on);
    try {
      onChanged?.(await roomsApi.updateRoom(api, room.id, { guests_allowed: on }));
    } catch (error) {
      setGuests(!on);
      throw error;
    }
  });
  const revoke = useAction(async (gone: Invite) => {
    await roomsApi.revokeInvite(api, room.id, gone.id);
    list.set((items) => items.map((item) => (item.id === gone.id ? { ...item, revoked: true } : item)));
    if (invite?.id === gone.id) {
      shown.delete(room.id);
      setInvite(null);
    }
  });
  useEffect(() => {
    void first.run();
    // Once per dialog.
  }, []);

  const error = first.error ?? another.error ?? allowGuests.error ?? revoke.error;
  const active = list.value?.filter((item) => !item.revoked) ?? [];
  return (
    <Dialog title={t("title", { name: brief(room.name, 60) })} onClose={onClose} wide>
      <p className="dialog-text">{guests ? t("intro") : t("intro_members")}</p>
      {error !== null && <Notice kind="error">{messageOf(error)}</Notice>}
      {invite?.url && <CopyLink value={invite.url} label={t("link")} testId="invite-link" />}
      {!invite && first.busy && <Spinner />}
      <Switch label={t("guests")} hint={t("guests_hint")} checked={guests} onChange={(on) => void allowGuests.run(on)} />
      <div className="invite-new">
        <Select
          label={t("expires")}
          value={lifetime}
          onChange={setLifetime}
          options={[
            { value: "", label: t("forever") },
            { value: String(HOUR), label: t("hour") },
            { value: String(24 * HOUR), label: t("day") },
            { value: String(7 * 24 * HOUR), label: t("week") },
          ]}
        />
        <Select
          label={t("uses")}
          value={uses}
          onChange={setUses}
          options={[
            { value: "", label: t("unlimited") },
            { value: "1", label: t("once") },
            { value: "10", label: t("up_to", { count: 10 }) },
            { value: "50", label: t("up_to", { count: 50 }) },
          ]}
        />
        <Button icon="plus" busy={another.busy} onClick={() => void another.run()}>
          {t("create")}
        </Button>
      </div>
      {active.length > 0 && (
        <>
          <h3>{t("existing")}</h3>
          <ul className="invites">
            {active.map((item) => (
              <li key={item.id}>
                <span>
                  {t("made", { date: shortDate(item.created_at) })} · {usage(item)} ·{" "}
                  {item.expires_at ? t("until", { date: shortDate(item.expires_at) }) : t("no_limit")}
                </span>
                <Button small look="quiet" onClick={() => void revoke.run(item)}>
                  {t("revoke")}
                </Button>
              </li>
            ))}
          </ul>
        </>
      )}
    </Dialog>
  );
}

function usage(invite: Invite): string {
  if (invite.max_uses !== null) return t("used_of", { uses: invite.uses, max: invite.max_uses });
  return plural(invite.uses, { one: t("used_one"), other: t("used_other", { count: invite.uses }) });
}
