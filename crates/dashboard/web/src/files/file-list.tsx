// The drop zone, the running uploads and the rows; used by the meeting's panel and the files page.
import { useRef, useState } from "react";
import type { Api } from "../api/client";
import * as filesApi from "../api/files";
import { messageOf } from "../api/problem";
import type { StoredFile } from "../api/types";
import { brief } from "../i18n/brief";
import { fileSize, shortDate } from "../i18n/time";
import { Link } from "../router/router";
import { paths } from "../router/routes";
import { Button, IconButton } from "../ui/button";
import { Confirm } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Name } from "../ui/name";
import { Empty, LoadFailed, Spinner } from "../ui/notice";
import { toast } from "../ui/toast";
import { ShareDialog } from "./share-dialog";
import { t } from "./strings";
import type { useFiles } from "./use-files";
import "./files.css";

interface FileListProps {
  api: Api;
  files: ReturnType<typeof useFiles>;
  emptyText: string;
  /** Links and deletion need an account. */
  canManage: boolean;
  /** Rooms and one's own files are mixed: says which files others see. */
  showRoom?: boolean;
}

export function FileList({ api, files, emptyText, canManage, showRoom = false }: FileListProps) {
  const { list, uploads, upload, remove } = files;
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [sharing, setSharing] = useState<StoredFile | null>(null);
  const [deleting, setDeleting] = useState<StoredFile | null>(null);
  const add = (chosen: globalThis.FileList | null) => {
    for (const file of chosen ?? []) void upload(file);
  };
  return (
    <div
      className={over ? "file-zone file-zone-over" : "file-zone"}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        add(event.dataTransfer.files);
      }}
    >
      <input
        ref={input}
        type="file"
        multiple
        className="visually-hidden"
        tabIndex={-1}
        aria-label={t("upload")}
        onChange={(event) => {
          add(event.target.files);
          event.target.value = "";
        }}
        data-testid="file-input"
      />
      <Button icon="upload" className="panel-action" onClick={() => input.current?.click()}>
        {over ? t("drop") : t("upload")}
      </Button>
      {list.error !== null && <LoadFailed error={list.error} retry={list.reload} />}
      {list.value === null && list.error === null && <Spinner />}
      {uploads.length > 0 && (
        <ul className="rows" aria-live="polite">
          {uploads.map((one) => (
            <li className="row" key={one.id}>
              <span className="file-icon">
                <Icon name="upload" />
              </span>
              <div className="row-text">
                <Name as="strong">{one.name}</Name>
                <progress
                  value={one.fraction}
                  aria-label={t("uploading", { name: one.name, percent: Math.round(one.fraction * 100) })}
                />
              </div>
            </li>
          ))}
        </ul>
      )}
      {list.value?.length === 0 && uploads.length === 0 && (
        <Empty icon="files" title={t("empty")}>
          {emptyText}
        </Empty>
      )}
      {list.value && list.value.length > 0 && (
        <ul className="rows">
          {list.value.map((file) => (
            <FileRow
              key={file.id}
              api={api}
              file={file}
              showRoom={showRoom}
              onShare={canManage ? () => setSharing(file) : null}
              onDelete={canManage ? () => setDeleting(file) : null}
            />
          ))}
        </ul>
      )}
      {sharing && <ShareDialog api={api} file={sharing} onClose={() => setSharing(null)} />}
      {deleting && (
        <Confirm
          title={t("delete_title", { name: brief(deleting.name, 60) })}
          text={t("delete_text")}
          action={t("delete_action")}
          onConfirm={() => remove(deleting)}
          onClose={() => setDeleting(null)}
        />
      )}
    </div>
  );
}

interface FileRowProps {
  api: Api;
  file: StoredFile;
  showRoom: boolean;
  onShare: (() => void) | null;
  onDelete: (() => void) | null;
}

function FileRow({ api, file, showRoom, onShare, onDelete }: FileRowProps) {
  const [busy, setBusy] = useState(false);
  const download = async () => {
    setBusy(true);
    try {
      await filesApi.downloadFile(api, file);
    } catch (error) {
      toast(messageOf(error), { icon: "warning" });
    } finally {
      setBusy(false);
    }
  };
  return (
    <li className="row" data-testid="file-row" data-file-id={file.id}>
      <span className="file-icon" aria-hidden="true">
        {extension(file.name)}
      </span>
      <div className="row-text">
        <Name as="strong">{file.name}</Name>
        {showRoom && file.room_id !== null && (
          <Link to={paths.room(file.room_id)} className="tag" title={t("in_room_text")} data-testid="file-room">
            {t("in_room")}
          </Link>
        )}
        <span className="row-note">
          {t("by", { name: brief(file.uploader_name, 20), size: fileSize(file.size_bytes), date: shortDate(file.created_at) })}
        </span>
      </div>
      <IconButton icon="download" label={t("download", { name: file.name })} disabled={busy} onClick={() => void download()} data-testid="file-download" />
      {onShare && <IconButton icon="link" label={t("link", { name: file.name })} onClick={onShare} data-testid="file-share" />}
      {onDelete && <IconButton icon="trash" label={t("delete", { name: file.name })} onClick={onDelete} data-testid="file-delete" />}
    </li>
  );
}

function extension(name: string): string {
  const found = /\.([a-z0-9]{1,4})$/i.exec(name);
  return found?.[1]?.toUpperCase() ?? "FILE";
}
