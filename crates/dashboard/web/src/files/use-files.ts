// A list of files with uploads in progress: a room's, or one's own when `roomId` is null.
import { useState } from "react";
import type { Api } from "../api/client";
import * as filesApi from "../api/files";
import { messageOf } from "../api/problem";
import type { StoredFile } from "../api/types";
import { brief } from "../i18n/brief";
import { useResource } from "../ui/resource";
import { toast } from "../ui/toast";
import { t } from "./strings";
import { turns } from "./turns";

export interface Upload {
  id: number;
  name: string;
  fraction: number;
}

export const MAX_BYTES = 100 * 1024 * 1024;

// The server takes ten of one person's at once; a folder of hundreds goes through as well.
const inTurn = turns(4);

let nextUpload = 1;

export function useFiles(api: Api, roomId: string | null, onUploaded: (file: StoredFile) => void) {
  const list = useResource(
    () => (roomId ? filesApi.listRoomFiles(api, roomId) : filesApi.listMyFiles(api)).then(({ items }) => items),
    roomId ?? "mine",
  );
  const [uploads, setUploads] = useState<Upload[]>([]);

  const upload = async (file: File) => {
    if (file.size > MAX_BYTES) {
      toast(t("too_large", { name: brief(file.name) }), { icon: "warning" });
      return;
    }
    const id = nextUpload++;
    setUploads((all) => [...all, { id, name: file.name, fraction: 0 }]);
    try {
      const stored = await inTurn(() =>
        filesApi.uploadFile(api, roomId, file, (fraction) =>
          setUploads((all) => all.map((one) => (one.id === id ? { ...one, fraction } : one))),
        ),
      );
      list.set((files) => [stored, ...files.filter((other) => other.id !== stored.id)]);
      onUploaded(stored);
    } catch (error) {
      toast(`${brief(file.name)}: ${messageOf(error, { failed_precondition: t("full") })}`, { icon: "warning" });
    } finally {
      setUploads((all) => all.filter((one) => one.id !== id));
    }
  };

  const remove = async (file: StoredFile) => {
    await filesApi.deleteFile(api, file.id);
    list.set((files) => files.filter((other) => other.id !== file.id));
  };

  return { list, uploads, upload, remove };
}
