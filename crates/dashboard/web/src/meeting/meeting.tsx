// A meeting or a call from the inside: connection, stage, panels and controls put together.
import { useCallback, useEffect, useRef, useState, type ReactNode } from "react";
import { RoomAudioRenderer, RoomContext, useParticipants } from "@livekit/components-react";
import { AicProvider, useAic, useAicSession } from "../aic/use-aic";
import type { Api } from "../api/client";
import type { Join } from "../api/types";
import { Button } from "../ui/button";
import { brief } from "../i18n/brief";
import { dismiss, toast, ToastPlace, useToastScreen } from "../ui/toast";
import { ChatPanel } from "./chat/chat-panel";
import { useChat } from "./chat/use-chat";
import { ConnectionBanner } from "./connection-banner";
import type { EndReason } from "./connection";
import { isGuest, MeetingProvider, useMeeting, type MeetingKind, type PanelName } from "./context";
import { ControlBar } from "./controls/control-bar";
import { ShortcutHelp } from "./controls/shortcut-help";
import { usePushToTalk, useShortcuts } from "./controls/shortcuts";
import { deviceProblem, useMediaControls } from "./controls/use-media-controls";
import { LeaveGuard } from "./leave-guard";
import { DataSaverProvider, useDataSaving } from "./data-saver/use-data-saver";
import type { JoinMedia } from "./options";
import { FilesPanel, useFileNews } from "./panels/files-panel";
import { PeoplePanel } from "./panels/people-panel";
import { useSilentMicrophone } from "./silent-mic";
import { SoundGate } from "./sound-gate";
import { Stage } from "./stage/stage";
import type { LayoutMode } from "./stage/focus";
import { t } from "./strings";
import { TopBar } from "./top-bar";
import { useConnection } from "./use-connection";
import { useHands } from "./use-hands";
import { useHappenings } from "./use-happenings";
import "./meeting.css";

export interface MeetingProps {
  kind: MeetingKind;
  join: Join;
  rejoin(): Promise<Join>;
  media: JoinMedia;
  api: Api;
  title: string;
  /** Whether its time counts; it does where nothing is said. */
  counting?: boolean;
  ownerId: string | null;
  leaveLabel: string;
  /** Opens or copies an invitation; null where there is none to give. */
  onInvite: (() => void) | null;
  onEnded(reason: EndReason): void;
  /** Told when somebody else is here and when nobody is any more. */
  onTogether?(together: boolean): void;
  /** What the stage says while nobody else is here. */
  alone: ReactNode;
  children?: ReactNode;
}

export function Meeting(props: MeetingProps) {
  const { join, rejoin, media, onEnded } = props;
  const { room, connection, wanted, starting, leave } = useConnection({ join, rejoin, media, onDeviceError: deviceProblem });
  const aic = useAicSession(room, props.api, !isGuest(join.identity), join.livekit_room);
  const saver = useDataSaving(room, aic.want);
  const ended = useRef(onEnded);
  useEffect(() => {
    ended.current = onEnded;
  });
  const reason = connection.phase === "ended" ? connection.reason : null;
  useEffect(() => {
    if (reason) ended.current(reason);
  }, [reason]);

  return (
    <RoomContext.Provider value={room}>
      <MeetingProvider
        value={{
          kind: props.kind,
          room,
          connection,
          title: props.title,
          identity: join.identity,
          role: join.role,
          roomId: props.kind === "room" ? join.room_id : null,
          api: props.api,
          ownerId: props.ownerId,
          wanted,
          starting,
          leave,
        }}
      >
        <AicProvider value={aic}>
          <DataSaverProvider value={saver}>
            <Inside {...props} />
          </DataSaverProvider>
        </AicProvider>
        <RoomAudioRenderer />
      </MeetingProvider>
    </RoomContext.Provider>
  );
}

function Inside({ kind, counting = true, leaveLabel, onInvite, onTogether, alone, children }: MeetingProps) {
  const { room, leave } = useMeeting();
  useToastScreen(room);
  const media = useMediaControls();
  const aic = useAic();
  const hands = useHands();
  const people = useParticipants({ room });
  const [panel, setPanel] = useState<PanelName | null>(null);
  const [mode, setMode] = useState<LayoutMode>("grid");
  const [hideNoVideo, setHideNoVideo] = useState(false);
  const [help, setHelp] = useState(false);
  const [unread, setUnread] = useState(0);
  const [news, setNews] = useState(0);
  const root = useRef<HTMLDivElement>(null);
  useHappenings();
  useSilentMicrophone();

  const open = useCallback((name: PanelName) => {
    setPanel(name);
    if (name === "chat") setUnread(0);
  }, []);
  const toggle = (name: PanelName) => (panel === name ? setPanel(null) : open(name));

  const chat = useChat(({ senderName, text }) => {
    if (panel === "chat") return;
    setUnread((count) => count + 1);
    toast(t("wrote", { name: brief(senderName), text: brief(text, 60) }), { icon: "chat", action: { label: t("show"), run: () => open("chat") } });
  });
  useFileNews(room, (name, file) => {
    setNews((count) => count + 1);
    if (panel !== "files") {
      toast(t("file_new", { name: brief(name), file: brief(file) }), { icon: "files", action: { label: t("show"), run: () => open("files") } });
    }
  });

  const together = people.some((person) => !person.isLocal);
  const tellTogether = useRef(onTogether);
  useEffect(() => {
    tellTogether.current = onTogether;
  });
  useEffect(() => tellTogether.current?.(together), [together]);

  const fullscreen = () => {
    const change = document.fullscreenElement ? document.exitFullscreen() : root.current?.requestFullscreen();
    change?.catch(() => {});
  };
  const otherMode = () => setMode((old) => (old === "grid" ? "speaker" : "grid"));

  useShortcuts({
    m: () => void media.setMic(!media.mic),
    v: () => void media.setCam(!media.cam),
    s: () => media.canShare && void media.setShare(!media.sharing),
    c: () => toggle("chat"),
    e: fullscreen,
    "?": () => setHelp(true),
    Escape: () => setPanel(null),
    ...(kind === "room" && { h: hands.toggle, p: () => toggle("people"), f: () => toggle("files"), g: otherMode }),
  });
  const talkToast = useRef(0);
  usePushToTalk(!media.mic, media.setMic, (talking) => {
    if (talking) talkToast.current = toast(t("talk_release"), { icon: "mic", ms: 60_000 });
    else dismiss(talkToast.current);
  });

  return (
    <div className={panel ? "meeting meeting-with-panel" : "meeting"} ref={root}>
      <TopBar counting={counting} mode={mode} setMode={setMode} sharing={media.sharing} stopSharing={() => void media.setShare(false)} onInvite={onInvite} />
      <div className="meeting-middle">
        <main className="meeting-stage" id="content">
          <ConnectionBanner />
          <SoundGate />
          <ToastPlace />
          <Stage mode={mode} hideNoVideo={hideNoVideo} alone={alone} />
          {children}
        </main>
        {panel === "chat" && <ChatPanel chat={chat} onClose={() => setPanel(null)} />}
        {panel === "people" && <PeoplePanel hands={hands} onInvite={onInvite} onClose={() => setPanel(null)} />}
        {panel === "files" && <FilesPanel news={news} onClose={() => setPanel(null)} />}
      </div>
      <ControlBar
        media={media}
        hands={hands}
        panel={panel}
        unread={unread}
        people={people.length}
        toggle={toggle}
        leaveLabel={leaveLabel}
        onLeave={leave}
        extras={[
          { icon: "wave", text: t("low"), checked: aic.want, testId: "low-bandwidth", run: () => aic.setWant(!aic.want) },
          ...(document.fullscreenEnabled ? [{ icon: "expand" as const, text: t("fullscreen"), run: fullscreen }] : []),
          ...(kind === "room"
            ? [
                { icon: "speaker" as const, text: t("speaker"), checked: mode === "speaker", run: otherMode },
                {
                  icon: "cam-off" as const,
                  text: t("hide_no_video"),
                  checked: hideNoVideo,
                  run: () => setHideNoVideo(!hideNoVideo),
                },
              ]
            : []),
          ...(onInvite ? [{ icon: "link" as const, text: t("copy_link"), run: onInvite }] : []),
          { icon: "keyboard", text: t("shortcuts"), run: () => setHelp(true) },
        ]}
      />
      <LeaveGuard action={leaveLabel} onLeave={leave} />
      {help && <ShortcutHelp onClose={() => setHelp(false)} />}
    </div>
  );
}

/** The card on the stage while one is alone in a room. */
export function AloneCard({ onInvite, children }: { onInvite: (() => void) | null; children?: ReactNode }) {
  return (
    <div className="alone">
      <strong>{t("alone")}</strong>
      <span>{onInvite ? t("alone_text") : t("alone_guest")}</span>
      {onInvite && (
        <Button look="primary" small icon="link" onClick={onInvite}>
          {t("copy_link")}
        </Button>
      )}
      {children}
    </div>
  );
}
