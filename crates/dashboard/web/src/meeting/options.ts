// How this client speaks to the media server, and what a person takes into a meeting.
import {
  ScreenSharePresets,
  VideoPresets,
  type AudioCaptureOptions,
  type LocalAudioTrack,
  type LocalVideoTrack,
  type ReconnectContext,
  type ReconnectPolicy,
  type RoomOptions,
  type VideoCaptureOptions,
} from "livekit-client";
import type { MediaPreferences } from "../prejoin/preferences";
import type { PeerConnectionMode } from "./mode";

export interface JoinMedia {
  preferences: MediaPreferences;
  /** Tracks the preview already opened. */
  audio: LocalAudioTrack | null;
  video: LocalVideoTrack | null;
}

export function audioCapture(deviceId: string): AudioCaptureOptions {
  return {
    ...(deviceId && { deviceId }),
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
  };
}

export function videoCapture(deviceId: string): VideoCaptureOptions {
  return { ...(deviceId && { deviceId }), resolution: VideoPresets.h720.resolution };
}

/**
 * Quick at first, then steady for two minutes. After that the meeting asks for a new token and
 * joins afresh, so giving up here ends nothing.
 */
export class PatientReconnect implements ReconnectPolicy {
  static readonly delaysMs = [0, 250, 500, 1000, 1500, 2000];
  static readonly limitMs = 120_000;

  nextRetryDelayInMs({ retryCount, elapsedMs }: ReconnectContext): number | null {
    if (elapsedMs > PatientReconnect.limitMs) return null;
    const delays = PatientReconnect.delaysMs;
    return delays[Math.min(retryCount, delays.length - 1)] ?? null;
  }
}

export function roomOptions(preferences: MediaPreferences, mode: PeerConnectionMode): RoomOptions {
  return {
    adaptiveStream: true,
    dynacast: true,
    // It would leave before the browser has asked whether the page may close; use-connection.ts does it after that.
    disconnectOnPageLeave: false,
    singlePeerConnection: mode === "single",
    reconnectPolicy: new PatientReconnect(),
    audioCaptureDefaults: audioCapture(preferences.audioInput),
    videoCaptureDefaults: videoCapture(preferences.videoInput),
    ...(preferences.audioOutput && { audioOutput: { deviceId: preferences.audioOutput } }),
    publishDefaults: {
      videoCodec: "vp8",
      simulcast: true,
      red: true,
      dtx: true,
      videoEncoding: VideoPresets.h720.encoding,
      videoSimulcastLayers: [VideoPresets.h180, VideoPresets.h360],
      screenShareEncoding: ScreenSharePresets.h1080fps15.encoding,
    },
  };
}
