// The measurements of a span that ends now, read again while the page is looked at.
import * as aicApi from "../api/aic";
import { api } from "../auth/current";
import { useResource, type Resource } from "../ui/resource";
import { useFresh } from "../ui/use-fresh";
import type { AicMetrics } from "../api/types";
import { spanOf, type Range } from "./measurements";

const EVERY_MS = 10_000;

export function useMeasurements(range: Range): Resource<AicMetrics> {
  const resource = useResource(() => aicApi.getMetrics(api, spanOf(range, Date.now())), range.id);
  useFresh(resource.reload, EVERY_MS);
  return resource;
}
