// Files of the room. Whoever uploads tells the others over the data channel, and they fetch the list.
import { useEffect, useRef } from "react";
import type { Room, TextStreamHandler } from "livekit-client";
import { FileList } from "../../files/file-list";
import { useFiles } from "../../files/use-files";
import { nameOf, useMeeting } from "../context";
import { t } from "../strings";
import { SidePanel } from "./side-panel";

const TOPIC = "aura.files";

/** Calls `onFile` when somebody else has uploaded one. */
export function useFileNews(room: Room, onFile: (senderName: string, fileName: string) => void): void {
  const latest = useRef(onFile);
  useEffect(() => {
    latest.current = onFile;
  });
  useEffect(() => {
    const receive: TextStreamHandler = async (reader, { identity }) => {
      const fileName = await reader.readAll().catch(() => null);
      if (fileName) latest.current(nameOf(room.getParticipantByIdentity(identity) ?? { identity }), fileName.slice(0, 200));
    };
    room.registerTextStreamHandler(TOPIC, receive);
    return () => room.unregisterTextStreamHandler(TOPIC);
  }, [room]);
}

export function FilesPanel({ news, onClose }: { news: number; onClose(): void }) {
  const { room, roomId, api, role } = useMeeting();
  const files = useFiles(api, roomId, (file) => {
    room.localParticipant.sendText(file.name, { topic: TOPIC }).catch(() => {});
  });
  const { reload } = files.list;
  useEffect(() => {
    if (news > 0) reload();
  }, [news, reload]);
  return (
    <SidePanel name="files" title={t("files")} onClose={onClose}>
      <div className="panel-scroll">
        <FileList api={api} files={files} emptyText={t("files_empty_text")} canManage={role !== "guest"} />
      </div>
    </SidePanel>
  );
}
