import { useState } from "react";
import { ROOM_NAME_MAX } from "../api/limits";
import { messageOf } from "../api/problem";
import * as roomsApi from "../api/rooms";
import type { Room } from "../api/types";
import { api } from "../auth/current";
import { brief } from "../i18n/brief";
import { useCaughtUp, usePush } from "../realtime/current";
import { Button } from "../ui/button";
import { Confirm } from "../ui/dialog";
import { Field } from "../ui/field";
import { Empty, LoadFailed, Notice, Spinner } from "../ui/notice";
import { useAction, useResource } from "../ui/resource";
import { InviteDialog } from "./invite-dialog";
import { RenameDialog } from "./rename-dialog";
import { RoomRow } from "./room-row";
import { t } from "./strings";

type Open = { kind: "invite" | "rename" | "delete"; room: Room } | null;

export function RoomsSection() {
  const rooms = useResource(() => roomsApi.listRooms(api).then(({ items }) => items), "rooms");
  const [open, setOpen] = useState<Open>(null);
  useCaughtUp(rooms.reload);
  usePush("room_updated", ({ room_id, participants }) =>
    rooms.set((list) =>
      list.map((room) => (room.id === room_id ? { ...room, live: participants > 0 ? { participants } : null } : room)),
    ),
  );

  const replace = (changed: Room) => rooms.set((list) => list.map((room) => (room.id === changed.id ? changed : room)));
  const close = () => setOpen(null);

  return (
    <section aria-labelledby="rooms-title">
      <NewRoom onCreated={(room) => (rooms.value ? rooms.set((list) => [room, ...list]) : rooms.reload())} />
      <h2 id="rooms-title">{t("rooms")}</h2>
      {rooms.error !== null && <LoadFailed error={rooms.error} retry={rooms.reload} />}
      {rooms.value === null && rooms.error === null && <Spinner />}
      {rooms.value?.length === 0 && (
        <Empty icon="grid" title={t("no_rooms")}>
          {t("no_rooms_text")}
        </Empty>
      )}
      {rooms.value && rooms.value.length > 0 && (
        <ul className="rooms">
          {liveFirst(rooms.value).map((room) => (
            <RoomRow
              key={room.id}
              room={room}
              onInvite={() => setOpen({ kind: "invite", room })}
              onRename={() => setOpen({ kind: "rename", room })}
              onDelete={() => setOpen({ kind: "delete", room })}
            />
          ))}
        </ul>
      )}
      {open?.kind === "invite" && <InviteDialog room={open.room} onChanged={replace} onClose={close} />}
      {open?.kind === "rename" && <RenameDialog room={open.room} onRenamed={replace} onClose={close} />}
      {open?.kind === "delete" && (
        <Confirm
          title={t("delete_title", { name: brief(open.room.name, 60) })}
          text={t("delete_text")}
          action={t("delete")}
          onConfirm={async () => {
            await roomsApi.deleteRoom(api, open.room.id);
            rooms.set((list) => list.filter((room) => room.id !== open.room.id));
          }}
          onClose={close}
        />
      )}
    </section>
  );
}

function liveFirst(rooms: Room[]): Room[] {
  const live = (room: Room) => (room.live?.participants ? 1 : 0);
  return [...rooms].sort((a, b) => live(b) - live(a));
}

function NewRoom({ onCreated }: { onCreated(room: Room): void }) {
  const [name, setName] = useState("");
  const action = useAction(async () => {
    onCreated(await roomsApi.createRoom(api, name.trim()));
    setName("");
  });
  return (
    <form
      className="new-room"
      aria-label={t("new_room")}
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim()) void action.run();
      }}
    >
      <Field
        label={t("room_name")}
        placeholder={t("room_placeholder")}
        maxLength={ROOM_NAME_MAX}
        required
        value={name}
        onChange={(event) => setName(event.target.value)}
        data-testid="room-name"
      />
      <Button look="primary" icon="plus" type="submit" busy={action.busy} data-testid="create-room">
        {t("create")}
      </Button>
      {action.error !== null && <Notice kind="error">{messageOf(action.error)}</Notice>}
    </form>
  );
}
