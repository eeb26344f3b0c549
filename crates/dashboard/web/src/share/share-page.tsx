// /share/:token: one file, for anyone who has the link.
import { useState } from "react";
import * as filesApi from "../api/files";
import { ApiError, messageOf } from "../api/problem";
import { publicApi, useSession } from "../auth/current";
import { fileSize, shortDate } from "../i18n/time";
import { paths } from "../router/routes";
import { MessagePage } from "../shell/message-page";
import { Button, LinkButton } from "../ui/button";
import { Field } from "../ui/field";
import { Icon, Logo } from "../ui/icon";
import { Notice, Spinner } from "../ui/notice";
import { useAction, useResource } from "../ui/resource";
import { useTitle } from "../ui/title";
import { t } from "./strings";

export function SharePage({ token }: { token: string }) {
  const share = useResource(() => filesApi.previewShare(publicApi, token), token);
  const [password, setPassword] = useState("");
  const [done, setDone] = useState(false);
  useTitle(share.value?.name ?? t("title"));
  const download = useAction(async () => {
    setDone(false);
    await filesApi.downloadShare(publicApi, token, share.value?.name ?? "file", password || undefined);
    setDone(true);
  });

  if (share.error instanceof ApiError && !share.error.transient) {
    return (
      <MessagePage icon="link" title={t("missing_title")} text={t("missing")}>
        <WayOut />
      </MessagePage>
    );
  }
  if (share.error !== null) {
    return (
      <MessagePage icon="warning" title={t("failed_title")} text={messageOf(share.error)}>
        <Button look="primary" onClick={share.reload}>
          {t("retry")}
        </Button>
        <WayOut />
      </MessagePage>
    );
  }
  if (!share.value) {
    return (
      <div className="page-spinner">
        <Spinner />
      </div>
    );
  }
  const file = share.value;
  const refused = download.error instanceof ApiError && (download.error.status === 401 || download.error.status === 403);
  return (
    <main className="share" id="content">
      <div className="share-brand">
        <Logo size={24} /> AuraLink
      </div>
      <section className="card share-card">
        <span className="message-icon">
          <Icon name="files" size={28} />
        </span>
        <p className="share-intro">{t("intro")}</p>
        <h1 className="name-lines" dir="auto" title={file.name}>
          {file.name}
        </h1>
        <p className="row-note">
          {fileSize(file.size_bytes)}
          {file.expires_at && ` · ${t("until", { date: shortDate(file.expires_at) })}`}
        </p>
        <form
          className="form"
          onSubmit={(event) => {
            event.preventDefault();
            void download.run();
          }}
        >
          {download.error !== null && !refused && <Notice kind="error">{messageOf(download.error)}</Notice>}
          {done && <Notice kind="success">{t("downloaded")}</Notice>}
          {file.has_password && (
            <Field
              label={t("password")}
              type="password"
              required
              autoFocus
              autoComplete="off"
              value={password}
              hint={t("password_hint")}
              error={refused ? t("wrong_password") : undefined}
              onChange={(event) => setPassword(event.target.value)}
              data-testid="password"
            />
          )}
          <Button look="primary" icon="download" type="submit" busy={download.busy} data-testid="submit">
            {t("download")}
          </Button>
        </form>
      </section>
    </main>
  );
}

/** Where a link that leads nowhere leads: to one's own start page, or to the door. */
function WayOut() {
  const signedIn = useSession().phase === "signed-in";
  return signedIn ? (
    <LinkButton to={paths.home} data-testid="way-out">
      {t("home")}
    </LinkButton>
  ) : (
    <LinkButton to={paths.login()} data-testid="way-out">
      {t("log_in")}
    </LinkButton>
  );
}
