// /join/:token: into a room by its link, with or without an account.
import { useEffect, useMemo, useRef, useState } from "react";
import { createGuestApi } from "../api/client";
import { ApiError, messageOf } from "../api/problem";
import * as roomsApi from "../api/rooms";
import type { InvitePreview, Join } from "../api/types";
import { api, publicApi, useSession } from "../auth/current";
import { brief } from "../i18n/brief";
import { Prejoin } from "../prejoin/prejoin";
import { loadGuestName, saveGuestName } from "../prejoin/preferences";
import { t as prejoinText } from "../prejoin/strings";
import { Link, rewriteAddress } from "../router/router";
import { paths } from "../router/routes";
import { MessagePage } from "../shell/message-page";
import { Button, LinkButton } from "../ui/button";
import { Spinner } from "../ui/notice";
import { useResource } from "../ui/resource";
import { useTitle } from "../ui/title";
import type { EndReason } from "./connection";
import { EndedPage } from "./ended-page";
import { AloneCard, Meeting } from "./meeting";
import type { JoinMedia } from "./options";
import { dropTicket, enter, keepTicket, leavePlace, returningMedia, ticket, wasIn } from "./presence";
import { t } from "./strings";

type Phase = { name: "prejoin" } | { name: "inside"; join: Join; media: JoinMedia } | { name: "ended"; reason: EndReason };

export function JoinPage({ inviteToken }: { inviteToken: string }) {
  const signedIn = useSession().phase === "signed-in";
  const invite = useResource(() => roomsApi.previewInvite(publicApi, inviteToken), inviteToken);
  // A guest who reloads still holds a ticket even when the link has been used up since.
  const held = useMemo(() => (signedIn ? null : ticket(inviteToken, Date.now())), [inviteToken, signedIn]);

  if (invite.error !== null && !held) {
    const gone = invite.error instanceof ApiError && !invite.error.transient;
    return gone ? (
      <MessagePage icon="link" title={t("invite_missing_title")} text={t("invite_missing")}>
        <LinkButton to={paths.home}>{t("home")}</LinkButton>
      </MessagePage>
    ) : (
      <MessagePage icon="warning" title={t("cannot_load")} text={messageOf(invite.error)}>
        <Button look="primary" onClick={invite.reload}>
          {t("try_again")}
        </Button>
      </MessagePage>
    );
  }
  if (!invite.value && !held) {
    return (
      <div className="page-spinner">
        <Spinner label={t("loading_room")} />
      </div>
    );
  }
  const preview = invite.value ?? { room_name: held?.room_name ?? "", host_name: "", guests_allowed: true };
  if (!signedIn && !preview.guests_allowed && !held) {
    const here = paths.join(inviteToken);
    return (
      <MessagePage icon="lock" title={t("invite_members_title", { name: brief(preview.room_name, 60) })} text={t("invite_members")}>
        <LinkButton look="primary" to={paths.login(here)}>
          {prejoinText("log_in")}
        </LinkButton>
        <LinkButton to={paths.register(here)}>{t("create_account")}</LinkButton>
      </MessagePage>
    );
  }
  return <Visit inviteToken={inviteToken} preview={preview} />;
}

function Visit({ inviteToken, preview }: { inviteToken: string; preview: InvitePreview }) {
  const session = useSession();
  const user = session.phase === "signed-in" ? session.user : null;
  const [phase, setPhase] = useState<Phase>({ name: "prejoin" });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const place = `join:${inviteToken}`;
  const returning = useRef(wasIn(place) && !user && ticket(inviteToken, Date.now()) !== null);
  useTitle(preview.room_name);

  const getJoin = async (name: string): Promise<Join> => {
    if (user) return roomsApi.acceptInvite(api, inviteToken);
    const held = ticket(inviteToken, Date.now());
    if (held && held.name === name) return held;
    const join = await roomsApi.acceptInvite(publicApi, inviteToken, name);
    keepTicket(inviteToken, join);
    return join;
  };

  const go = async (name: string, take: () => JoinMedia) => {
    setBusy(true);
    setError(null);
    try {
      const join = await getJoin(name);
      if (user) {
        // A member from now on: the room's own address works, and a reload must not use the link up.
        rewriteAddress(paths.room(join.room_id));
        enter(join.room_id);
      } else {
        saveGuestName(name);
        enter(place);
      }
      setPhase({ name: "inside", join, media: take() });
    } catch (failure) {
      returning.current = false;
      if (failure instanceof ApiError && failure.status === 403) setPhase({ name: "ended", reason: "removed" });
      else setError(messageOf(failure, { unauthenticated: t("invite_login"), not_found: t("invite_missing") }));
    } finally {
      setBusy(false);
    }
  };

  const started = useRef(false);
  useEffect(() => {
    if (!returning.current || started.current) return;
    started.current = true;
    const name = ticket(inviteToken, Date.now())?.name ?? loadGuestName();
    void go(name, returningMedia);
  });

  if (phase.name === "inside") {
    return <Inside user={user !== null} join={phase.join} media={phase.media} onEnded={(reason) => {
      leavePlace();
      if (reason === "removed" || reason === "gone" || reason === "refused") dropTicket(inviteToken);
      setPhase({ name: "ended", reason });
    }} rejoin={() => (user ? roomsApi.joinRoom(api, phase.join.room_id) : getJoin(phase.join.name))} />;
  }
  if (phase.name === "ended") {
    return <EndedPage reason={phase.reason} guest={!user} onRejoin={() => setPhase({ name: "prejoin" })} />;
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
      roomName={preview.room_name}
      note={preview.host_name ? prejoinText("hosted_by", { name: brief(preview.host_name) }) : null}
      guestName={user ? null : loadGuestName()}
      userName={user?.display_name ?? null}
      busy={busy}
      error={error}
      onJoin={(take, name) => void go(name, take)}
      below={
        user ? null : (
          <p className="prejoin-note">
            {prejoinText("have_account")} <Link to={paths.login(paths.join(inviteToken))}>{prejoinText("log_in")}</Link>
          </p>
        )
      }
    />
  );
}

interface InsideProps {
  user: boolean;
  join: Join;
  media: JoinMedia;
  rejoin(): Promise<Join>;
  onEnded(reason: EndReason): void;
}

function Inside({ user, join, media, rejoin, onEnded }: InsideProps) {
  // A guest's token is good for this room's messages and files only.
  const meetingApi = useMemo(() => (user || !join.guest_token ? api : createGuestApi(join.guest_token)), [user, join.guest_token]);
  return (
    <Meeting
      kind="room"
      join={join}
      rejoin={rejoin}
      media={media}
      api={meetingApi}
      title={join.room_name}
      ownerId={null}
      leaveLabel={t("leave")}
      onInvite={null}
      onEnded={onEnded}
      alone={<AloneCard onInvite={null} />}
    />
  );
}
