// Whom the host sent away, and the way to let them back in. Shown to the host only, and only when there is somebody.
import { messageOf } from "../../api/problem";
import * as roomsApi from "../../api/rooms";
import type { Api } from "../../api/client";
import { brief } from "../../i18n/brief";
import { Avatar } from "../../ui/avatar";
import { Button } from "../../ui/button";
import { Name } from "../../ui/name";
import type { Resource } from "../../ui/resource";
import type { RemovedPerson } from "../../api/types";
import { toast } from "../../ui/toast";
import { isGuest } from "../context";
import { t } from "../strings";

export type RemovedPeople = Resource<{ items: RemovedPerson[] }>;

export function RemovedList({ api, roomId, removed }: { api: Api; roomId: string; removed: RemovedPeople }) {
  const people = removed.value?.items ?? [];
  if (people.length === 0) return null;
  const letBackIn = async (person: RemovedPerson) => {
    try {
      await roomsApi.letBackIn(api, roomId, person.identity);
      removed.set((old) => ({ items: old.items.filter(({ identity }) => identity !== person.identity) }));
      toast(t("let_back_in_done", { name: brief(person.name) }), { icon: "check" });
    } catch (error) {
      toast(messageOf(error), { icon: "warning" });
    }
  };
  return (
    <>
      <h3>{t("removed_people")}</h3>
      <ul className="rows" data-testid="removed-people">
        {people.map((person) => (
          <li className="row" key={person.identity} data-identity={person.identity}>
            <Avatar name={person.name} id={person.identity} size="small" />
            <div className="row-text">
              <Name as="strong">{person.name}</Name>
              {isGuest(person.identity) && <span className="tag">{t("guest")}</span>}
            </div>
            <Button onClick={() => void letBackIn(person)} data-testid="let-back-in">
              {t("let_back_in")}
            </Button>
          </li>
        ))}
      </ul>
    </>
  );
}
