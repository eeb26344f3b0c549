import * as aicApi from "../api/aic";
import { api } from "../auth/current";
import type { AicAlert } from "../api/types";
import { shortDate } from "../i18n/time";
import { Icon } from "../ui/icon";
import { useResource } from "../ui/resource";
import { useFresh } from "../ui/use-fresh";
import { recent } from "./alerts";
import { milliseconds, percent } from "./format";
import { t } from "./strings";

const EVERY_MS = 30_000;

/** What went wrong for minutes. Takes no place while nothing did; when the service is away, the page says so below. */
export function Alerts() {
  const alerts = useResource(() => aicApi.listAlerts(api), "aic-alerts");
  useFresh(alerts.reload, EVERY_MS);
  const shown = recent(alerts.value ?? [], Date.now());
  if (shown.length === 0) return null;
  return (
    <section className="card alerts" aria-labelledby="audio-alerts">
      <h2 id="audio-alerts">{t("alerts")}</h2>
      <ul>
        {shown.map((alert) => (
          <li key={alert.id} data-testid="aic-alert" data-firing={alert.resolved_at === null}>
            <Icon name="warning" size={18} />
            <span>{text(alert)}</span>
            <span className="row-note">
              {alert.resolved_at === null
                ? t("alert_firing", { from: shortDate(alert.started_at) })
                : t("alert_resolved", { from: shortDate(alert.started_at), to: shortDate(alert.resolved_at) })}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function text({ rule, value, threshold }: AicAlert): string {
  switch (rule) {
    case "inference_latency":
      return t("alert_inference_latency", { value: milliseconds(value), threshold: milliseconds(threshold) });
    case "fallback_rate":
      return t("alert_fallback_rate", { value: percent(value * 100), threshold: percent(threshold * 100) });
    default:
      return t("alert_other", { value: String(value), threshold: String(threshold) });
  }
}
