import type { AicMetrics } from "../api/types";
import { shortDate } from "../i18n/time";
import { kilobytes, milliseconds, percent, score } from "./format";
import { fallbackPercent, savedPercent } from "./measurements";
import { t } from "./strings";

/** What the plots show, for those who read rather than look, and for copying. */
export function FiguresTable({ metrics }: { metrics: AicMetrics }) {
  return (
    <details className="card figures">
      <summary>{t("table")}</summary>
      <div className="figures-scroll" tabIndex={0} role="group" aria-label={t("table")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("table_time")}</th>
              <th scope="col">{t("saved")}</th>
              <th scope="col">{t("quality")}</th>
              <th scope="col">{t("column_latency")}</th>
              <th scope="col">{t("fallback")}</th>
              <th scope="col">{t("savings")}</th>
            </tr>
          </thead>
          <tbody>
            {metrics.points.toReversed().map((point) => (
              <tr key={point.at}>
                <th scope="row">{shortDate(point.at)}</th>
                <td>{percent(savedPercent(point))}</td>
                <td>{score(point.figures.quality)}</td>
                <td>{milliseconds(point.figures.latency_p95_ms)}</td>
                <td>{percent(fallbackPercent(point))}</td>
                <td>{kilobytes(point.figures.saved_bytes / 1000)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
