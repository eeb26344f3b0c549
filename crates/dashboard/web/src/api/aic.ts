// Low-bandwidth audio: settings, measurements, and reports of what this page's own codec did.
import { body, done, type Api } from "./client";
import type { AicAlert, AicConfig, AicConfigChange, AicMetrics, AicModelHour, AicSession, AicUsageReport } from "./types";

const CONFIG = "/api/v1/aic/config";
const METRICS = "/api/v1/aic/metrics";

export const getConfig = (api: Api): Promise<AicConfig> => body(api.GET(CONFIG));

/** Changes what is given and keeps the rest. */
export const changeConfig = (api: Api, change: AicConfigChange): Promise<AicConfig> =>
  body(api.POST(CONFIG, { body: change }));

export interface Span {
  from: Date;
  to: Date;
  bucket_s: number;
  session_id?: string | undefined;
}

export const getMetrics = (api: Api, { from, to, bucket_s, session_id }: Span): Promise<AicMetrics> =>
  body(
    api.GET(METRICS, {
      params: {
        query: { from: from.toISOString(), to: to.toISOString(), bucket_s, ...(session_id ? { session_id } : {}) },
      },
    }),
  );

export const listSessions = (
  api: Api,
  cursor?: string,
  limit = 20,
): Promise<{ items: AicSession[]; next_cursor: string | null }> =>
  body(api.GET("/api/v1/aic/sessions", { params: { query: { limit, ...(cursor ? { cursor } : {}) } } }));

/** Newest first. */
export const listAlerts = async (api: Api): Promise<AicAlert[]> => (await body(api.GET("/api/v1/aic/alerts"))).items;

/** The whole server's, by the hour, newest first. */
export const listModels = async (api: Api, hours = 24): Promise<AicModelHour[]> =>
  (await body(api.GET("/api/v1/aic/models", { params: { query: { hours } } }))).items;

/** Safe to send again: a sequence number counts once. */
export const reportUsage = (api: Api, report: AicUsageReport): Promise<void> => done(api.POST(METRICS, { body: report }));
