import { useState } from "react";
import type { AicConfig, AicMetrics } from "../api/types";
import { Plot, type PlotProps } from "../chart/plot";
import { clockTime, duration, shortDate } from "../i18n/time";
import { currentLocale, plural } from "../i18n/translate";
import { Empty, Notice, Spinner } from "../ui/notice";
import { Segments } from "../ui/segments";
import { bucketLength, kilobits, kilobytes, milliseconds, percent, score } from "./format";
import * as read from "./measurements";
import { Reasons } from "./reasons";
import { t } from "./strings";
import { FiguresTable } from "./figures-table";
import { Unavailable } from "./unavailable";
import { useMeasurements } from "./use-measurements";

export function Measurements({ config }: { config: AicConfig | null }) {
  const [range, setRange] = useState<read.Range>(read.RANGES[1]!);
  const metrics = useMeasurements(range);
  const { value, error } = metrics;
  return (
    <section className="measurements" aria-labelledby="measurements-title">
      <div className="measurements-head">
        <h2 id="measurements-title">{t("measurements")}</h2>
        <Segments
          label={t("range")}
          value={range.id}
          options={read.RANGES.map(({ id }) => ({ value: id, label: t(id) }))}
          onChange={(id) => setRange(read.RANGES.find((one) => one.id === id) ?? range)}
          data-testid="range"
        />
      </div>
      {error !== null && value !== null && <Notice kind="warning">{t("stale")}</Notice>}
      {error !== null && value === null && <Unavailable error={error} retry={metrics.reload} explain />}
      {error === null && value === null && <Spinner />}
      {value && value.total.figures.frames === 0 && (
        <div className="card">
          <Empty icon="speaker" title={t("empty_title")}>
            {t("empty_text")}
          </Empty>
        </div>
      )}
      {value && value.total.figures.frames > 0 && (
        <>
          <Totals metrics={value} />
          <Plots metrics={value} config={config} range={range} />
          <Reasons metrics={value} />
          <FiguresTable metrics={value} />
        </>
      )}
    </section>
  );
}

function Totals({ metrics }: { metrics: AicMetrics }) {
  const { figures, sessions } = metrics.total;
  return (
    <ul className="totals" data-testid="totals">
      <li>
        <strong>{t("total_saved", { size: kilobytes(figures.saved_bytes / 1000) })}</strong>
      </li>
      <li>
        {t("total_rate", {
          sent: kilobits(read.bitrate(figures.coded_bytes, figures)),
          native: kilobits(read.bitrate(figures.native_bytes, figures)),
        })}
      </li>
      <li>{t("total_time", { time: duration(figures.frames / 50) })}</li>
      <li>{plural(sessions, { one: t("total_sessions_one"), other: t("total_sessions_other", { count: sessions }) })}</li>
    </ul>
  );
}

function Plots({ metrics, config, range }: { metrics: AicMetrics; config: AicConfig | null; range: read.Range }) {
  const [selected, setSelected] = useState<number | null>(null);
  const long = range.seconds > 86_400;
  const day = (at: number) => new Date(at).toLocaleDateString(currentLocale(), { day: "numeric", month: "short" });
  const shared: Pick<PlotProps, "from" | "to" | "bucketMs" | "selected" | "onSelect" | "formatTime" | "formatTick"> = {
    from: Date.parse(metrics.from),
    to: Date.parse(metrics.to),
    bucketMs: metrics.bucket_s * 1000,
    selected,
    onSelect: setSelected,
    formatTime: (at) => (long ? shortDate(new Date(at).toISOString()) : clockTime(at)),
    formatTick: (at) => (long ? day(at) : clockTime(at)),
  };
  const { figures, quality_min } = metrics.total;
  const of = (pick: Parameters<typeof read.samples>[1]) => read.samples(metrics, pick);
  return (
    <div className="plots">
      <Plot
        {...shared}
        title={t("saved")}
        unit={t("saved_unit")}
        headline={percent(figures.compression_ratio === null ? null : figures.compression_ratio * 100)}
        series={[{ name: t("saved_series"), look: "main", samples: of(read.savedPercent) }]}
        threshold={config ? { value: config.target_compression_ratio * 100, label: t("target") } : undefined}
        ceiling={100}
        format={percent}
      />
      <Plot
        {...shared}
        title={t("quality")}
        unit={t("quality_unit")}
        headline={score(figures.quality)}
        series={[
          { name: t("mean"), look: "main", samples: of(read.qualityMean) },
          ...(quality_min === null ? [] : [{ name: t("lowest"), look: "faint" as const, samples: of(read.qualityMin) }]),
        ]}
        threshold={config ? { value: config.min_quality_score, label: t("minimum") } : undefined}
        floor={read.qualityFloor(metrics)}
        ceiling={1}
        format={score}
      />
      <Plot
        {...shared}
        title={t("latency")}
        unit={t("latency_unit")}
        headline={milliseconds(figures.latency_p95_ms)}
        series={[
          { name: t("mean"), look: "main", samples: of(read.latencyMean) },
          { name: t("p95"), look: "second", samples: of(read.latencyP95) },
        ]}
        threshold={config ? { value: config.max_latency_ms, label: t("budget") } : undefined}
        format={milliseconds}
      />
      <Plot
        {...shared}
        title={t("fallback")}
        unit={t("fallback_unit")}
        headline={percent(figures.fallback_rate * 100)}
        kind="bars"
        series={[{ name: t("fallback_series"), look: "second", samples: of(read.fallbackPercent) }]}
        format={percent}
      />
      <Plot
        {...shared}
        title={t("rate")}
        unit={t("rate_unit")}
        headline={t("kbps", { rate: kilobits(read.bitrate(figures.coded_bytes, figures)) })}
        series={[
          { name: t("rate_sent"), look: "main", samples: of((one) => read.bitrate(one.figures.coded_bytes, one.figures)) },
          { name: t("rate_native"), look: "faint", samples: of((one) => read.bitrate(one.figures.native_bytes, one.figures)) },
        ]}
        format={kilobits}
      />
      <Plot
        {...shared}
        title={t("savings")}
        unit={t("savings_unit", { bucket: bucketLength(metrics.bucket_s) })}
        headline={kilobytes(figures.saved_bytes / 1000)}
        kind="bars"
        series={[{ name: t("savings_series"), look: "main", samples: of(read.savedKilobytes) }]}
        format={kilobytes}
      />
    </div>
  );
}
