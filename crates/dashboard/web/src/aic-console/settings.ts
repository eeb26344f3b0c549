// The settings form's values: what was typed, what it means, and what to send. Pure.
import type { AicConfig, AicConfigChange, AicMode } from "../api/types";

export interface Draft {
  enabled: boolean;
  mode: AicMode;
  /** Percent, as typed. */
  target: string;
  /** Milliseconds, as typed. */
  latency: string;
  /** 0 to 1, as typed. */
  quality: string;
  fallback: boolean;
  gpu: boolean;
  device: string;
}

export const MODES: AicMode[] = ["conservative", "adaptive", "aggressive"];

const tidy = (value: number) => String(Number(value.toFixed(3)));

export function draftOf(config: AicConfig): Draft {
  return {
    enabled: config.enabled,
    mode: config.mode,
    target: tidy(config.target_compression_ratio * 100),
    latency: tidy(config.max_latency_ms),
    quality: tidy(config.min_quality_score),
    fallback: config.enable_fallback,
    gpu: config.gpu.enabled,
    device: String(config.gpu.device_id),
  };
}

type Typed = "target" | "latency" | "quality" | "device";

/** The API's names of the fields that are typed. */
export const FIELDS = {
  target: "target_compression_ratio",
  latency: "max_latency_ms",
  quality: "min_quality_score",
  device: "gpu.device_id",
} as const;

function number(text: string, min: number, max: number): number | null {
  const value = text.trim() === "" ? NaN : Number(text.replace(",", "."));
  return value >= min && value <= max ? value : null;
}

/** The change to send, or the fields that are out of range (each with the range it must be in). */
export function read(draft: Draft): { change: AicConfigChange } | { faults: Record<Typed, [number, number] | undefined> } {
  const target = number(draft.target, 0, 99);
  const latency = number(draft.latency, 1, 1000);
  const quality = number(draft.quality, 0, 1);
  const device = number(draft.device, 0, 63);
  if (target === null || latency === null || quality === null || device === null || !Number.isInteger(device)) {
    return {
      faults: {
        target: target === null ? [0, 99] : undefined,
        latency: latency === null ? [1, 1000] : undefined,
        quality: quality === null ? [0, 1] : undefined,
        device: device === null || !Number.isInteger(device) ? [0, 63] : undefined,
      },
    };
  }
  return {
    change: {
      enabled: draft.enabled,
      mode: draft.mode,
      target_compression_ratio: Number((target / 100).toFixed(4)),
      max_latency_ms: latency,
      min_quality_score: quality,
      enable_fallback: draft.fallback,
      gpu: { enabled: draft.gpu, device_id: device },
    },
  };
}

export const same = (a: Draft, b: Draft): boolean => JSON.stringify(a) === JSON.stringify(b);
