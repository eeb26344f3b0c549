// One person's camera, or one shared screen.
import { useEffect, useRef, useState } from "react";
import {
  isTrackReference,
  useConnectionQualityIndicator,
  useIsSpeaking,
  useTrackMutedIndicator,
  VideoTrack,
  type TrackReferenceOrPlaceholder,
} from "@livekit/components-react";
import { ConnectionQuality, RemoteTrackPublication, RoomEvent, Track } from "livekit-client";
import { Avatar } from "../../ui/avatar";
import { IconButton } from "../../ui/button";
import { Icon } from "../../ui/icon";
import { Name } from "../../ui/name";
import { nameOf, useMeeting } from "../context";
import { raisedAt } from "../hands";
import { t } from "../strings";
import { QualityBadge } from "./quality";

export interface TileProps {
  trackRef: TrackReferenceOrPlaceholder;
  pinned: boolean;
  onPin(): void;
  style?: React.CSSProperties;
  size?: "grid" | "focus" | "strip" | "corner";
}

export function Tile({ trackRef, pinned, onPin, style, size = "grid" }: TileProps) {
  const root = useRef<HTMLDivElement>(null);
  const { participant, source } = trackRef;
  const screen = source === Track.Source.ScreenShare;
  const speaking = useIsSpeaking(participant);
  const { isMuted: micMuted } = useTrackMutedIndicator({ participant, source: Track.Source.Microphone });
  const { isMuted: videoMuted } = useTrackMutedIndicator(trackRef);
  const paused = usePaused(trackRef);
  const { quality } = useConnectionQualityIndicator({ participant });
  const hand = raisedAt(participant.attributes) !== null;
  const local = participant.isLocal;
  // One's own connection has a banner.
  const lost = !local && quality === ConnectionQuality.Lost;
  const name = nameOf(participant);
  const title = screen ? (local ? t("your_screen") : t("screen_of", { name })) : local ? t("you_suffix", { name }) : name;
  const showVideo = isTrackReference(trackRef) && trackRef.publication.track !== undefined && !videoMuted;
  const publication = trackRef.publication;
  const unreceived = publication instanceof RemoteTrackPublication && !publication.isDesired && !publication.isMuted;
  const canFullscreen = document.fullscreenEnabled;

  return (
    <div
      ref={root}
      className={["tile", `tile-${size}`, speaking && !screen && "tile-speaking", screen && "tile-screen"].filter(Boolean).join(" ")}
      style={style}
      role="group"
      aria-label={title}
      data-testid="participant-tile"
      data-identity={participant.identity}
      data-source={screen ? "screen_share" : "camera"}
      data-speaking={speaking}
      onDoubleClick={onPin}
    >
      {showVideo ? (
        <VideoTrack
          trackRef={trackRef}
          className={local && !screen && facesUser(trackRef) ? "tile-video mirrored" : "tile-video"}
          aria-label={title}
        />
      ) : (
        <Avatar name={name} id={participant.identity} size="fill" />
      )}
      {lost && (
        <p className="tile-paused" role="status" data-testid="tile-lost">
          <Icon name="warning" size={16} />
          {t("lost")}
        </p>
      )}
      {unreceived && !lost && (
        <p className="tile-saved" data-testid="tile-saved">
          {t("saved_video")}
        </p>
      )}
      {paused && showVideo && !lost && (
        <p className="tile-paused">
          <Icon name="warning" size={16} />
          {t("paused")}
        </p>
      )}
      {hand && !screen && (
        <span className="tile-hand" role="img" aria-label={t("hand_is_up")} title={t("hand_is_up")}>
          <Icon name="hand" size={18} />
        </span>
      )}
      <div className="tile-label">
        {!screen && micMuted && (
          <span className="tile-muted" role="img" aria-label={t("muted")}>
            <Icon name="mic-off" size={14} />
          </span>
        )}
        {screen && <Icon name="screen" size={14} />}
        <Name className="tile-name">{screen ? title : name}</Name>
        {local && !screen && <span className="tile-you">{t("you_mark")}</span>}
        {!screen && <QualityBadge participant={participant} />}
      </div>
      {size !== "corner" && (
        <div className="tile-actions">
          <IconButton
            icon={pinned ? "unpin" : "pin"}
            size={18}
            label={pinned ? t("unpin", { name: title }) : t("pin", { name: title })}
            aria-pressed={pinned}
            onClick={onPin}
            data-testid="pin"
          />
          {canFullscreen && showVideo && (
            <IconButton
              icon="expand"
              size={18}
              label={t("tile_fullscreen", { name: title })}
              onClick={() => void toggleFullscreen(root.current)}
            />
          )}
        </div>
      )}
    </div>
  );
}

/** True while the server holds this video back for lack of bandwidth. */
function usePaused(ref: TrackReferenceOrPlaceholder): boolean {
  const { room } = useMeeting();
  const [isPaused, setPaused] = useState(false);
  const sid = ref.publication?.trackSid;
  useEffect(() => {
    setPaused(ref.publication?.track?.streamState === Track.StreamState.Paused);
    const changed = (publication: RemoteTrackPublication, state: Track.StreamState) => {
      if (publication.trackSid === sid) setPaused(state === Track.StreamState.Paused);
    };
    room.on(RoomEvent.TrackStreamStateChanged, changed);
    return () => {
      room.off(RoomEvent.TrackStreamStateChanged, changed);
    };
  }, [room, ref.publication, sid]);
  return isPaused;
}

/** A camera that looks away from the user must not be mirrored. */
function facesUser(ref: TrackReferenceOrPlaceholder): boolean {
  return ref.publication?.track?.mediaStreamTrack.getSettings().facingMode !== "environment";
}

async function toggleFullscreen(element: HTMLElement | null): Promise<void> {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await element?.requestFullscreen();
  } catch {
    // Refused by the browser: nothing else changes.
  }
}
