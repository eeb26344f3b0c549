import { useId, useState } from "react";
import * as authApi from "../api/auth";
import { DISPLAY_NAME_MAX } from "../api/limits";
import { ApiError, messageOf } from "../api/problem";
import { api, session, useUser } from "../auth/current";
import { askForNotifications, useNotificationPermission } from "../call/notify";
import { setShortcutsEnabled, shortcutsEnabled } from "../meeting/controls/shortcuts";
import { Header } from "../shell/header";
import { Button } from "../ui/button";
import { Field, Switch } from "../ui/field";
import { Icon, type IconName } from "../ui/icon";
import { Notice } from "../ui/notice";
import { useAction } from "../ui/resource";
import { setTheme, useTheme, type Theme } from "../ui/theme";
import { useTitle } from "../ui/title";
import { t } from "./strings";
import "./settings.css";

export function SettingsPage() {
  useTitle(t("title"));
  const [shortcuts, setShortcuts] = useState(shortcutsEnabled);
  const out = useAction(() => session.signOut());
  return (
    <>
      <Header />
      <main className="column" id="content">
        <h1>{t("title")}</h1>
        <Profile />
        <section className="card" aria-labelledby="appearance">
          <h2 id="appearance">{t("appearance")}</h2>
          <ThemeChoice />
        </section>
        <section className="card" aria-labelledby="meetings">
          <h2 id="meetings">{t("meetings")}</h2>
          <Switch
            label={t("shortcuts")}
            hint={t("shortcuts_hint")}
            checked={shortcuts}
            onChange={(on) => {
              setShortcutsEnabled(on);
              setShortcuts(on);
            }}
          />
        </section>
        <Notifications />
        <section className="card settings-session" aria-labelledby="session">
          <div>
            <h2 id="session">{t("session")}</h2>
            <p className="row-note">{t("log_out_text")}</p>
          </div>
          <Button icon="leave" busy={out.busy} onClick={() => void out.run()}>
            {t("log_out")}
          </Button>
        </section>
      </main>
    </>
  );
}

/** Browsers ask once: what was refused there can only be allowed there. */
function Notifications() {
  const permission = useNotificationPermission();
  if (permission === "unsupported") return null;
  return (
    <section className="card" aria-labelledby="calls" data-testid="notifications" data-permission={permission}>
      <h2 id="calls">{t("calls")}</h2>
      <p className="row-note">{t(`notify_${permission}`)}</p>
      {permission === "default" && (
        <div>
          <Button icon="bell" onClick={() => void askForNotifications()}>
            {t("notify")}
          </Button>
        </div>
      )}
    </section>
  );
}

function Profile() {
  const user = useUser();
  const [name, setName] = useState(user.display_name);
  const [saved, setSaved] = useState(false);
  const save = useAction(async () => {
    setSaved(false);
    session.updateUser(await authApi.updateMe(api, { display_name: name.trim() }));
    setSaved(true);
  });
  const problem = save.error instanceof ApiError ? save.error.field("display_name") : undefined;
  return (
    <section className="card" aria-labelledby="profile">
      <h2 id="profile">{t("profile")}</h2>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          void save.run();
        }}
      >
        {save.error !== null && !problem && <Notice kind="error">{messageOf(save.error)}</Notice>}
        <Field
          label={t("display_name")}
          hint={t("display_name_hint")}
          error={problem}
          value={name}
          required
          maxLength={DISPLAY_NAME_MAX}
          autoComplete="name"
          onChange={(event) => {
            setName(event.target.value);
            setSaved(false);
          }}
          data-testid="display-name"
        />
        <dl className="facts">
          <div>
            <dt>{t("email")}</dt>
            <dd>{user.email}</dd>
          </div>
          <div>
            <dt>{t("aura_id")}</dt>
            <dd>
              <strong className="aura-id">{user.aura_id}</strong>
              <span className="row-note">{t("aura_id_hint")}</span>
            </dd>
          </div>
        </dl>
        <div className="settings-save">
          <Button look="primary" type="submit" busy={save.busy} disabled={name.trim() === user.display_name} data-testid="submit">
            {t("save")}
          </Button>
          <span role="status">{saved ? t("saved") : ""}</span>
        </div>
      </form>
    </section>
  );
}

function ThemeChoice() {
  const theme = useTheme();
  const group = useId();
  const choices: [Theme, string, IconName][] = [
    ["system", t("system"), "device"],
    ["light", t("light"), "sun"],
    ["dark", t("dark"), "moon"],
  ];
  return (
    <fieldset className="theme-choice">
      <legend className="visually-hidden">{t("theme")}</legend>
      {choices.map(([value, label, icon]) => (
        <label key={value}>
          <input type="radio" name={group} value={value} checked={theme === value} onChange={() => setTheme(value)} />
          <Icon name={icon} />
          {label}
        </label>
      ))}
    </fieldset>
  );
}
