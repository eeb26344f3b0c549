import { Icon, type IconName } from "../../ui/icon";
import { NARROW, useMediaQuery } from "../../ui/media-query";
import { MenuItem, Popover } from "../../ui/popover";
import type { PanelName } from "../context";
import { useMeeting } from "../context";
import type { Hands } from "../use-hands";
import { t } from "../strings";
import { DeviceMenu } from "./device-menu";
import type { MediaControls } from "./use-media-controls";

interface ControlBarProps {
  media: MediaControls;
  hands: Hands;
  panel: PanelName | null;
  unread: number;
  people: number;
  toggle(panel: PanelName): void;
  extras: { icon: IconName; text: string; checked?: boolean; testId?: string; run(): void }[];
  /** In calls leaving is hanging up. */
  leaveLabel: string;
  onLeave(): void;
}

export function ControlBar({ media, hands, panel, unread, people, toggle, extras, leaveLabel, onLeave }: ControlBarProps) {
  const { kind } = useMeeting();
  // On a phone the bar holds what is needed most; the rest is under "More".
  const narrow = useMediaQuery(NARROW);
  const room = kind === "room";
  const more: ControlBarProps["extras"] = narrow && room
    ? [
        { icon: "hand", text: hands.raised ? t("hand_lower") : t("hand_raise"), run: hands.toggle },
        { icon: "people", text: t("people_count", { count: people }), run: () => toggle("people") },
        { icon: "files", text: t("files"), run: () => toggle("files") },
        ...extras,
      ]
    : extras;
  return (
    <footer className="controls" aria-label={t("controls")}>
      <div className="controls-media">
        <div className="control-pair">
          <Control
            icon={media.mic ? "mic" : "mic-off"}
            label={media.mic ? t("mic_on") : t("mic_off")}
            off={!media.mic}
            busy={media.busy.mic}
            keys="M"
            testId="mic"
            onClick={() => void media.setMic(!media.mic)}
          />
          <DeviceMenu kind="mic" />
        </div>
        <div className="control-pair">
          <Control
            icon={media.cam ? "cam" : "cam-off"}
            label={media.cam ? t("cam_on") : t("cam_off")}
            off={!media.cam}
            busy={media.busy.cam}
            keys="V"
            testId="cam"
            onClick={() => void media.setCam(!media.cam)}
          />
          <DeviceMenu kind="cam" />
        </div>
        {media.canShare && (
          <Control
            icon={media.sharing ? "screen-off" : "screen"}
            label={media.sharing ? t("share_stop") : t("share")}
            pressed={media.sharing}
            busy={media.busy.share}
            keys="S"
            testId="share"
            onClick={() => void media.setShare(!media.sharing)}
          />
        )}
        {room && !narrow && (
          <Control
            icon="hand"
            label={hands.raised ? t("hand_lower") : t("hand_raise")}
            pressed={hands.raised}
            keys="H"
            testId="hand"
            onClick={hands.toggle}
          />
        )}
        <Popover
          menu
          label={t("more")}
          side="above"
          align="center"
          trigger={(props) => (
            <button type="button" className="control" aria-label={t("more")} title={t("more")} data-testid="more" {...props}>
              <Icon name="more" size={22} />
              {narrow && hands.queue.length > 0 && <span className="badge">{hands.queue.length}</span>}
            </button>
          )}
        >
          {(close) =>
            more.map((extra) => (
              <MenuItem
                key={extra.text}
                icon={extra.icon}
                {...(extra.checked === undefined ? {} : { checked: extra.checked })}
                {...(extra.testId === undefined ? {} : { "data-testid": extra.testId })}
                onSelect={() => {
                  close();
                  extra.run();
                }}
              >
                {extra.text}
              </MenuItem>
            ))
          }
        </Popover>
        <button type="button" className="control control-leave" onClick={onLeave} data-testid={kind === "call" ? "hang-up" : "leave"} aria-label={leaveLabel} title={leaveLabel}>
          <Icon name={kind === "call" ? "hangup" : "leave"} size={22} />
          <span className="control-text">{leaveLabel}</span>
        </button>
      </div>
      <div className="controls-panels">
        <Control
          icon="chat"
          label={unread > 0 ? t("chat_unread", { count: unread }) : t("chat")}
          panel="chat"
          pressed={panel === "chat"}
          badge={unread}
          keys="C"
          testId="chat-toggle"
          onClick={() => toggle("chat")}
        />
        {room && !narrow && (
          <>
            <Control
              icon="people"
              label={t("people_count", { count: people })}
              panel="people"
              pressed={panel === "people"}
              badge={people}
              quietBadge={hands.queue.length === 0}
              keys="P"
              testId="participants-toggle"
              onClick={() => toggle("people")}
            />
            <Control
              icon="files"
              label={t("files")}
              panel="files"
              pressed={panel === "files"}
              keys="F"
              testId="files-toggle"
              onClick={() => toggle("files")}
            />
          </>
        )}
      </div>
    </footer>
  );
}

interface ControlProps {
  icon: IconName;
  label: string;
  /** Opens a panel; its state is spoken. The others say theirs in the label. */
  panel?: PanelName;
  /** A device that is off: shown in the warning colour. */
  off?: boolean;
  pressed?: boolean;
  busy?: boolean;
  badge?: number;
  quietBadge?: boolean;
  keys: string;
  testId: string;
  onClick(): void;
}

function Control({ icon, label, panel, off, pressed, busy, badge = 0, quietBadge, keys, testId, onClick }: ControlProps) {
  return (
    <button
      type="button"
      className={["control", off && "control-off", pressed && "control-on"].filter(Boolean).join(" ")}
      aria-label={label}
      title={`${label} (${keys})`}
      aria-expanded={panel ? pressed : undefined}
      aria-busy={busy || undefined}
      data-panel={panel}
      aria-keyshortcuts={keys.toLowerCase()}
      disabled={busy}
      onClick={onClick}
      data-testid={testId}
      data-on={pressed ?? !off}
    >
      <Icon name={icon} size={22} />
      {badge > 0 && <span className={quietBadge ? "badge badge-quiet" : "badge"}>{badge > 99 ? "99+" : badge}</span>}
    </button>
  );
}
