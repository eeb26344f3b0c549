import type { Room } from "../api/types";
import { brief } from "../i18n/brief";
import { shortDate } from "../i18n/time";
import { plural } from "../i18n/translate";
import { Link } from "../router/router";
import { paths } from "../router/routes";
import { Button, IconButton, LinkButton } from "../ui/button";
import { Name } from "../ui/name";
import { MenuItem, Popover } from "../ui/popover";
import { t } from "./strings";

interface RoomRowProps {
  room: Room;
  onInvite(): void;
  onRename(): void;
  onDelete(): void;
}

export function RoomRow({ room, onInvite, onRename, onDelete }: RoomRowProps) {
  const mine = room.my_role === "owner";
  const here = room.live?.participants ?? 0;
  return (
    <li className={here > 0 ? "room room-live" : "room"} data-testid="room-row" data-room-id={room.id}>
      <div className="room-text">
        <Link to={paths.room(room.id)} className="room-name">
          <Name>{room.name}</Name>
        </Link>
        <p className="room-note">
          {here > 0 ? (
            <span className="live">
              <span className="live-dot" aria-hidden="true" />
              {plural(here, { one: t("live_one"), other: t("live_other", { count: here }) })}
            </span>
          ) : (
            <span>{mine ? t("yours") : t("owner_is", { name: brief(room.owner.display_name) })}</span>
          )}
          <span>{t("created", { date: shortDate(room.created_at) })}</span>
        </p>
      </div>
      <div className="room-actions">
        {mine && (
          <Button small look="quiet" icon="link" onClick={onInvite} data-testid="room-invite">
            {t("invite")}
          </Button>
        )}
        <LinkButton small look={here > 0 ? "primary" : "secondary"} to={paths.room(room.id)} data-testid="room-open">
          {t("open")}
        </LinkButton>
        {mine && (
          <Popover
            menu
            label={t("more", { name: room.name })}
            trigger={(props) => (
              <IconButton icon="more" label={t("more", { name: room.name })} data-testid="room-more" {...props} />
            )}
          >
            {(close) => (
              <>
                <MenuItem
                  icon="edit"
                  onSelect={() => {
                    close();
                    onRename();
                  }}
                >
                  {t("rename")}
                </MenuItem>
                <MenuItem
                  icon="trash"
                  danger
                  onSelect={() => {
                    close();
                    onDelete();
                  }}
                >
                  {t("delete")}
                </MenuItem>
              </>
            )}
          </Popover>
        )}
      </div>
    </li>
  );
}
