import { useState } from "react";
import * as aicApi from "../api/aic";
import { api } from "../auth/current";
import type { AicModelHour } from "../api/types";
import { duration, shortDate } from "../i18n/time";
import { Spinner } from "../ui/notice";
import { useResource } from "../ui/resource";
import { milliseconds, percent, score } from "./format";
import { t } from "./strings";
import { Unavailable } from "./unavailable";

const places: Record<string, string> = {
  native: t("backend_native"),
  onnx: t("backend_onnx"),
  browser: t("backend_browser"),
  client: t("backend_client"),
};

/** What each model does on the whole server, read when it is opened. */
export function ModelsSection() {
  const [open, setOpen] = useState(false);
  return (
    <details className="card figures" data-testid="models" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t("models")}</summary>
      {open && <Models />}
    </details>
  );
}

function Models() {
  const models = useResource(() => aicApi.listModels(api), "aic-models");
  const { value, error } = models;
  if (value === null) return error === null ? <Spinner /> : <Unavailable error={error} retry={models.reload} />;
  if (value.length === 0) return <p className="row-note">{t("models_empty")}</p>;
  return (
    <div className="figures-scroll" tabIndex={0} role="group" aria-label={t("models")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("models_hour")}</th>
            <th scope="col">{t("models_model")}</th>
            <th scope="col">{t("models_where")}</th>
            <th scope="col">{t("models_audio")}</th>
            <th scope="col">{t("quality")}</th>
            <th scope="col">{t("column_latency")}</th>
            <th scope="col">{t("fallback")}</th>
          </tr>
        </thead>
        <tbody>
          {value.map((row) => (
            <Row key={`${row.hour} ${row.model} ${row.backend}`} row={row} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ row }: { row: AicModelHour }) {
  return (
    <tr data-testid="model-hour">
      <th scope="row">{shortDate(row.hour)}</th>
      <td>{row.model}</td>
      <td>{places[row.backend] ?? row.backend}</td>
      <td>{duration(row.frames / 50)}</td>
      <td>{score(row.quality)}</td>
      <td>{milliseconds(row.latency_p95_ms)}</td>
      <td>{percent(row.fallback_rate * 100)}</td>
    </tr>
  );
}
