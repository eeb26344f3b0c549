import { useState } from "react";
import { ROOM_NAME_MAX } from "../api/limits";
import { ApiError, messageOf } from "../api/problem";
import * as roomsApi from "../api/rooms";
import type { Room } from "../api/types";
import { api } from "../auth/current";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Field } from "../ui/field";
import { useAction } from "../ui/resource";
import { t } from "./strings";

export function RenameDialog({ room, onRenamed, onClose }: { room: Room; onRenamed(room: Room): void; onClose(): void }) {
  const [name, setName] = useState(room.name);
  const action = useAction(async () => {
    onRenamed(await roomsApi.updateRoom(api, room.id, { name: name.trim() }));
    onClose();
  });
  const problem = action.error instanceof ApiError ? action.error.field("name") : undefined;
  return (
    <Dialog title={t("rename_title")} onClose={onClose}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          void action.run();
        }}
      >
        <Field
          label={t("room_name")}
          value={name}
          required
          maxLength={ROOM_NAME_MAX}
          data-autofocus
          data-testid="rename-name"
          error={action.error === null ? undefined : (problem ?? messageOf(action.error))}
          onChange={(event) => setName(event.target.value)}
        />
        <div className="dialog-actions">
          <Button look="primary" type="submit" busy={action.busy}>
            {t("save")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
