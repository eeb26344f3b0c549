import { useEffect, useId, useState } from "react";
import * as contactsApi from "../api/contacts";
import { messageOf } from "../api/problem";
import type { CallMedia, Person } from "../api/types";
import { api, useUser } from "../auth/current";
import { placeCall } from "../call/place";
import { brief } from "../i18n/brief";
import { Avatar } from "../ui/avatar";
import { IconButton } from "../ui/button";
import { Icon } from "../ui/icon";
import { Name } from "../ui/name";
import { Empty, LoadFailed, Spinner } from "../ui/notice";
import { useAction, useResource } from "../ui/resource";
import { toast } from "../ui/toast";
import { t } from "./strings";

export function PeopleSection() {
  const me = useUser();
  const contacts = useResource(() => contactsApi.listContacts(api).then(({ items }) => items), "contacts");
  const [query, setQuery] = useState("");
  const found = useSearch(query);
  const searchId = useId();
  const known = new Set(contacts.value?.map((person) => person.id));

  const fail = (error: unknown) => toast(messageOf(error), { icon: "warning" });
  const add = async (person: Person) => {
    try {
      const added = await contactsApi.addContact(api, person.id);
      contacts.set((list) => [...list.filter((other) => other.id !== added.id), added]);
      toast(t("added", { name: brief(added.display_name) }), { icon: "check" });
    } catch (error) {
      fail(error);
    }
  };
  const remove = async (person: Person) => {
    try {
      await contactsApi.removeContact(api, person.id);
      contacts.set((list) => list.filter((other) => other.id !== person.id));
    } catch (error) {
      fail(error);
    }
  };

  return (
    <section className="card" aria-labelledby="people-title">
      <h2 id="people-title">{t("people")}</h2>
      <div className="search">
        <label className="visually-hidden" htmlFor={searchId}>
          {t("search_label")}
        </label>
        <Icon name="search" size={18} />
        <input
          id={searchId}
          type="search"
          value={query}
          placeholder={t("search_placeholder")}
          autoComplete="off"
          onChange={(event) => setQuery(event.target.value)}
          data-testid="people-search"
        />
      </div>
      {found.short && (
        <p className="field-hint" role="status" data-testid="search-short">
          {t("search_short")}
        </p>
      )}
      {found.active && (
        <div className="results" aria-live="polite">
          <h3>{t("results")}</h3>
          {found.error !== null && <p className="row-note">{messageOf(found.error)}</p>}
          {found.people?.length === 0 && <p className="row-note">{t("no_results", { query: brief(query.trim()) })}</p>}
          <ul className="rows">
            {found.people
              ?.filter((person) => person.id !== me.id)
              .map((person) => (
                <PersonRow key={person.id} person={person} onAdd={known.has(person.id) ? undefined : () => void add(person)} />
              ))}
          </ul>
        </div>
      )}
      {contacts.error !== null && <LoadFailed error={contacts.error} retry={contacts.reload} />}
      {contacts.value === null && contacts.error === null && <Spinner />}
      {contacts.value?.length === 0 && !found.active && (
        <Empty icon="people" title={t("no_people")}>
          {t("no_people_text")}
        </Empty>
      )}
      {contacts.value && contacts.value.length > 0 && (
        <ul className="rows">
          {contacts.value.map((person) => (
            <PersonRow key={person.id} person={person} onRemove={() => void remove(person)} />
          ))}
        </ul>
      )}
    </section>
  );
}

/** As the server counts: fewer find too much. */
const MIN_LETTERS = 2;

/** Searches while typing, a moment after the last key. */
function useSearch(query: string) {
  const [people, setPeople] = useState<Person[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const text = query.trim();
  const active = [...text].length >= MIN_LETTERS;
  useEffect(() => {
    setError(null);
    if (!active) {
      setPeople(null);
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      contactsApi.searchPeople(api, text, abort.signal).then(
        ({ items }) => !abort.signal.aborted && setPeople(items),
        (failure: unknown) => !abort.signal.aborted && setError(failure),
      );
    }, 250);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [text, active]);
  return { active, short: text !== "" && !active, people, error };
}

function PersonRow({ person, onAdd, onRemove }: { person: Person; onAdd?: (() => void) | undefined; onRemove?: () => void }) {
  const name = person.display_name;
  const call = useAction(async (media: CallMedia) => {
    await placeCall(person.id, media);
  });
  return (
    <li className="row" data-testid="person-row" data-person-id={person.id}>
      <Avatar name={name} id={person.id} />
      <div className="row-text">
        <Name as="strong">{name}</Name>
        <span className="row-note">{person.aura_id}</span>
      </div>
      {onAdd && <IconButton icon="add-person" label={t("add", { name })} onClick={onAdd} data-testid="add-person" />}
      {onRemove && (
        <IconButton icon="close" size={16} className="row-hidden" label={t("remove", { name })} onClick={onRemove} />
      )}
      <IconButton
        icon="phone"
        label={t("audio_call", { name })}
        disabled={call.busy}
        onClick={() => void call.run("audio")}
        data-testid="call-person-audio"
      />
      <IconButton
        icon="cam"
        label={t("video_call", { name })}
        disabled={call.busy}
        onClick={() => void call.run("video")}
        data-testid="call-person"
      />
    </li>
  );
}
