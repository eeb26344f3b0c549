// Links to one file, for people without an account. A link is shown once, when it is made.
import { useState } from "react";
import type { Api } from "../api/client";
import * as filesApi from "../api/files";
import { messageOf } from "../api/problem";
import type { Share, StoredFile } from "../api/types";
import { brief } from "../i18n/brief";
import { shortDate } from "../i18n/time";
import { Button } from "../ui/button";
import { CopyLink } from "../ui/copy";
import { Dialog } from "../ui/dialog";
import { Field, Select } from "../ui/field";
import { Notice } from "../ui/notice";
import { useAction, useResource } from "../ui/resource";
import { t } from "./strings";

const HOUR = 3600;

export function ShareDialog({ api, file, onClose }: { api: Api; file: StoredFile; onClose(): void }) {
  const [made, setMade] = useState<Share | null>(null);
  const [lifetime, setLifetime] = useState(String(7 * 24 * HOUR));
  const [downloads, setDownloads] = useState("");
  const [password, setPassword] = useState("");
  const list = useResource(() => filesApi.listShares(api, file.id).then(({ items }) => items), file.id);
  const create = useAction(async () => {
    const limits = {
      ...(lifetime && { expires_in_s: Number(lifetime) }),
      ...(downloads && { max_downloads: Number(downloads) }),
      ...(password && { password }),
    };
    setMade(await filesApi.createShare(api, file.id, limits));
    setPassword("");
    list.reload();
  });
  const revoke = useAction(async (share: Share) => {
    await filesApi.revokeShare(api, file.id, share.id);
    list.set((items) => items.filter(({ id }) => id !== share.id));
    if (made?.id === share.id) setMade(null);
  });
  const error = create.error ?? revoke.error ?? list.error;
  const active = list.value?.filter((share) => !share.revoked) ?? [];
  return (
    <Dialog title={t("share_title", { name: brief(file.name, 60) })} onClose={onClose} wide>
      <p className="dialog-text">{t("share_intro")}</p>
      {error !== null && <Notice kind="error">{messageOf(error)}</Notice>}
      {made?.url && <CopyLink value={made.url} label={t("share_link")} testId="share-link" />}
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          void create.run();
        }}
      >
        <div className="form-row">
          <Select
            label={t("share_expires")}
            value={lifetime}
            onChange={setLifetime}
            options={[
              { value: "", label: t("forever") },
              { value: String(HOUR), label: t("hour") },
              { value: String(24 * HOUR), label: t("day") },
              { value: String(7 * 24 * HOUR), label: t("week") },
            ]}
          />
          <Select
            label={t("share_downloads")}
            value={downloads}
            onChange={setDownloads}
            options={[
              { value: "", label: t("unlimited") },
              { value: "1", label: t("once") },
              { value: "10", label: t("up_to", { count: 10 }) },
            ]}
          />
        </div>
        <Field
          label={t("share_password")}
          type="password"
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        <div className="dialog-actions">
          <Button look="primary" icon="link" type="submit" busy={create.busy} data-testid="share-create">
            {t("share_create")}
          </Button>
        </div>
      </form>
      {active.length > 0 && (
        <>
          <h3>{t("existing")}</h3>
          <ul className="invites">
            {active.map((share) => (
              <li key={share.id}>
                <span>{describe(share)}</span>
                <Button small look="quiet" onClick={() => void revoke.run(share)}>
                  {t("revoke")}
                </Button>
              </li>
            ))}
          </ul>
        </>
      )}
    </Dialog>
  );
}

function describe(share: Share): string {
  const count = share.downloads;
  const parts = [
    share.max_downloads === null ? t("downloads", { count }) : t("downloads_of", { count, max: share.max_downloads }),
    share.expires_at ? t("until", { date: shortDate(share.expires_at) }) : t("no_limit"),
  ];
  if (share.has_password) parts.push(t("with_password"));
  return parts.join(" · ");
}
