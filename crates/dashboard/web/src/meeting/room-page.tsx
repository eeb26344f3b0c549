// /room/:id for people with an account: pre-join, the meeting, and what comes after.
import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, messageOf } from "../api/problem";
import * as roomsApi from "../api/rooms";
import type { Join, Room } from "../api/types";
import { api, useUser } from "../auth/current";
import { inviteLink } from "../home/invite-dialog";
import { plural } from "../i18n/translate";
import { Prejoin } from "../prejoin/prejoin";
import { t as prejoinText } from "../prejoin/strings";
import { paths } from "../router/routes";
import { MessagePage } from "../shell/message-page";
import { Button, LinkButton } from "../ui/button";
import { copyText } from "../ui/copy";
import { Spinner } from "../ui/notice";
import { useResource } from "../ui/resource";
import { useTitle } from "../ui/title";
import { toast } from "../ui/toast";
import { InviteDialog } from "../home/invite-dialog";
import type { EndReason } from "./connection";
import { EndedPage } from "./ended-page";
import { AloneCard, Meeting } from "./meeting";
import type { JoinMedia } from "./options";
import { enter, leavePlace, returningMedia, wasIn } from "./presence";
import { t } from "./strings";

type Phase = { name: "prejoin" } | { name: "inside"; join: Join; media: JoinMedia } | { name: "ended"; reason: EndReason };

export function RoomPage({ id }: { id: string }) {
  const room = useResource(() => roomsApi.getRoom(api, id), id);
  if (room.error instanceof ApiError && room.error.status === 403) {
    return <EndedPage reason="removed" guest={false} onRejoin={room.reload} />;
  }
  if (room.error instanceof ApiError && (room.error.status === 404 || room.error.status === 400)) {
    return (
      <MessagePage icon="search" title={t("room_missing_title")} text={t("room_missing")}>
        <LinkButton look="primary" to={paths.home}>
          {t("home")}
        </LinkButton>
      </MessagePage>
    );
  }
  if (room.error !== null) {
    return (
      <MessagePage icon="warning" title={t("cannot_load")} text={messageOf(room.error)}>
        <Button look="primary" onClick={room.reload}>
          {t("try_again")}
        </Button>
        <LinkButton to={paths.home}>{t("home")}</LinkButton>
      </MessagePage>
    );
  }
  if (!room.value) {
    return (
      <div className="page-spinner">
        <Spinner label={t("loading_room")} />
      </div>
    );
  }
  return <RoomVisit room={room.value} />;
}

export function hereNow(room: Room): string {
  const count = room.live?.participants ?? 0;
  if (count === 0) return prejoinText("empty_room");
  return plural(count, { one: prejoinText("here_now_one"), other: prejoinText("here_now_other", { count }) });
}

function RoomVisit({ room }: { room: Room }) {
  const user = useUser();
  const [phase, setPhase] = useState<Phase>({ name: "prejoin" });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const [inviting, setInviting] = useState(false);
  const returning = useRef(wasIn(room.id));
  useTitle(room.name);

  const getJoin = useCallback(() => roomsApi.joinRoom(api, room.id), [room.id]);
  const go = async (take: () => JoinMedia) => {
    setBusy(true);
    setError(null);
    try {
      const join = await getJoin();
      enter(room.id);
      setPhase({ name: "inside", join, media: take() });
    } catch (failure) {
      returning.current = false;
      leavePlace();
      if (failure instanceof ApiError && failure.status === 403) setPhase({ name: "ended", reason: "removed" });
      else setError(messageOf(failure));
    } finally {
      setBusy(false);
    }
  };

  // A reload in the middle of a meeting goes straight back in.
  const started = useRef(false);
  useEffect(() => {
    if (!returning.current || started.current) return;
    started.current = true;
    void go(returningMedia);
  });

  const invite = () => {
    inviteLink(room.id)
      .then(async ({ url }) => {
        if (url && (await copyText(url))) toast(t("link_copied"), { icon: "check" });
        else setInviting(true);
      })
      .catch((failure: unknown) => toast(messageOf(failure), { icon: "warning" }));
  };

  if (phase.name === "inside") {
    const onInvite = room.my_role === "owner" ? invite : null;
    return (
      <>
        <Meeting
          kind="room"
          join={phase.join}
          rejoin={getJoin}
          media={phase.media}
          api={api}
          title={room.name}
          ownerId={room.owner.id}
          leaveLabel={t("leave")}
          onInvite={onInvite}
          onEnded={(reason) => {
            leavePlace();
            setPhase({ name: "ended", reason });
          }}
          alone={<AloneCard onInvite={onInvite} />}
        />
        {inviting && <InviteDialog room={room} onClose={() => setInviting(false)} />}
      </>
    );
  }
  if (phase.name === "ended") {
    return <EndedPage reason={phase.reason} guest={false} onRejoin={() => setPhase({ name: "prejoin" })} />;
  }
  if (returning.current) {
    return (
      <div className="page-spinner">
        <Spinner label={t("loading_room")} />
      </div>
    );
  }
  return (
    <Prejoin
      roomName={room.name}
      note={hereNow(room)}
      guestName={null}
      userName={user.display_name}
      busy={busy}
      error={error}
      onJoin={(take) => void go(take)}
    />
  );
}
