// Who is here, in the order that matters: raised hands first. The host can mute and remove.
import { useState } from "react";
import { useIsSpeaking, useParticipants, useTrackMutedIndicator } from "@livekit/components-react";
import { Track, type Participant } from "livekit-client";
import { messageOf } from "../../api/problem";
import * as roomsApi from "../../api/rooms";
import { brief } from "../../i18n/brief";
import { Avatar } from "../../ui/avatar";
import { Button, IconButton } from "../../ui/button";
import { Confirm } from "../../ui/dialog";
import { Icon } from "../../ui/icon";
import { Name } from "../../ui/name";
import { MenuItem, Popover } from "../../ui/popover";
import { useResource } from "../../ui/resource";
import { toast } from "../../ui/toast";
import { isGuest, nameOf, useMeeting } from "../context";
import { QualityBadge } from "../stage/quality";
import { t } from "../strings";
import type { Hands } from "../use-hands";
import { RemovedList } from "./removed-list";
import { SidePanel } from "./side-panel";

interface PeoplePanelProps {
  hands: Hands;
  onInvite: (() => void) | null;
  onClose(): void;
}

export function PeoplePanel({ hands, onInvite, onClose }: PeoplePanelProps) {
  const { room, roomId, api, role } = useMeeting();
  const hosting = role === "owner" && roomId !== null;
  const removed = useResource(
    async () => (hosting ? roomsApi.listRemoved(api, roomId) : { items: [] }),
    `${roomId ?? ""}:${hosting}`,
  );
  const people = useParticipants({ room });
  const [removing, setRemoving] = useState<Participant | null>(null);
  return (
    <SidePanel name="people" title={t("people")} onClose={onClose}>
      <div className="panel-scroll">
        {onInvite && (
          <Button icon="add-person" onClick={onInvite} className="panel-action">
            {t("invite")}
          </Button>
        )}
        {hands.queue.length > 0 && (
          <>
            <h3>{t("hands")}</h3>
            <ol className="rows" data-testid="hand-queue">
              {hands.queue.map((person, index) => (
                <li className="row" key={person.identity} data-identity={person.identity}>
                  <span className="hand-place">{index + 1}</span>
                  <div className="row-text">
                    <Name as="strong">{nameOf(person)}</Name>
                    {person.isLocal && <span className="tag">{t("you")}</span>}
                  </div>
                  <Icon name="hand" />
                </li>
              ))}
            </ol>
          </>
        )}
        <h3>
          {t("everyone")} · {people.length}
        </h3>
        <ul className="rows" data-testid="participants">
          {people.map((person) => (
            <PersonRow key={person.identity} person={person} onRemove={() => setRemoving(person)} />
          ))}
        </ul>
        {hosting && <RemovedList api={api} roomId={roomId} removed={removed} />}
      </div>
      {removing && roomId && (
        <Confirm
          title={t("remove_title", { name: brief(nameOf(removing)) })}
          text={t("remove_text")}
          action={t("remove_action")}
          onConfirm={async () => {
            await roomsApi.removeParticipant(api, roomId, removing.identity);
            removed.reload();
          }}
          onClose={() => setRemoving(null)}
        />
      )}
    </SidePanel>
  );
}

function PersonRow({ person, onRemove }: { person: Participant; onRemove(): void }) {
  const { role, roomId, api, ownerId } = useMeeting();
  const speaking = useIsSpeaking(person);
  const { isMuted } = useTrackMutedIndicator({ participant: person, source: Track.Source.Microphone });
  const name = nameOf(person);
  const hosting = role === "owner" && roomId !== null && !person.isLocal;

  const mute = async () => {
    const track = person.getTrackPublication(Track.Source.Microphone);
    if (!roomId || !track || track.isMuted) {
      toast(t("already_muted", { name: brief(name) }));
      return;
    }
    try {
      await roomsApi.muteParticipant(api, roomId, person.identity, track.trackSid);
      toast(t("person_muted", { name: brief(name) }), { icon: "mic-off" });
    } catch (error) {
      toast(messageOf(error), { icon: "warning" });
    }
  };

  return (
    <li className={speaking ? "row row-speaking" : "row"} data-testid="participant-row" data-identity={person.identity}>
      <Avatar name={name} id={person.identity} size="small" />
      <div className="row-text">
        <Name as="strong">{name}</Name>
        {person.isLocal && <span className="tag">{t("you")}</span>}
        {person.identity === ownerId && <span className="tag">{t("host")}</span>}
        {isGuest(person.identity) && <span className="tag">{t("guest")}</span>}
      </div>
      <QualityBadge participant={person} />
      <span className={isMuted ? "row-mic row-mic-off" : "row-mic"} role="img" aria-label={isMuted ? t("muted") : t("mic")}>
        <Icon name={isMuted ? "mic-off" : "mic"} size={18} />
      </span>
      {hosting && (
        <Popover
          menu
          label={t("actions_for", { name })}
          trigger={(props) => (
            <IconButton icon="more" label={t("actions_for", { name })} data-testid="participant-actions" {...props} />
          )}
        >
          {(close) => (
            <>
              <MenuItem
                icon="mic-off"
                data-testid="participant-mute"
                onSelect={() => {
                  close();
                  void mute();
                }}
              >
                {t("mute_person")}
              </MenuItem>
              <MenuItem
                icon="remove"
                danger
                data-testid="participant-remove"
                onSelect={() => {
                  close();
                  onRemove();
                }}
              >
                {t("remove_person")}
              </MenuItem>
            </>
          )}
        </Popover>
      )}
    </li>
  );
}
