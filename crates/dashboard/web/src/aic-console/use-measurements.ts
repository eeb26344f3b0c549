// The measurements of a span that ends now, read again while the page is looked at.
import { useEffect } from "react";
import * as aicApi from "../api/aic";
import { api } from "../auth/current";
import { useResource, type Resource } from "../ui/resource";
import type { AicMetrics } from "../api/types";
import { spanOf, type Range } from "./measurements";

const EVERY_MS = 10_000;

export function useMeasurements(range: Range): Resource<AicMetrics> {
  const resource = useResource(() => aicApi.getMetrics(api, spanOf(range, Date.now())), range.id);
  const { reload } = resource;
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && reload(), EVERY_MS);
    const seen = () => document.visibilityState === "visible" && reload();
    document.addEventListener("visibilitychange", seen);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [reload]);
  return resource;
}
