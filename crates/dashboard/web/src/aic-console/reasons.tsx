import type { AicMetrics } from "../api/types";
import { plural } from "../i18n/translate";
import { reasons } from "./measurements";
import { t } from "./strings";

const texts: Record<string, string> = {
  quality: t("reason_quality"),
  latency: t("reason_latency"),
  content: t("reason_content"),
  model_mismatch: t("reason_model_mismatch"),
  overload: t("reason_overload"),
  unavailable: t("reason_unavailable"),
  disabled: t("reason_disabled"),
};

export const reasonText = (reason: string): string => texts[reason] ?? reason;

/** Why Opus was sent, most frequent first, as bars of their share. */
export function Reasons({ metrics }: { metrics: AicMetrics }) {
  const ranked = reasons(metrics);
  const most = ranked[0]?.times ?? 1;
  return (
    <div className="card reasons" data-testid="reasons">
      <h3>{t("reasons")}</h3>
      {ranked.length === 0 && <p className="row-note">{t("reasons_none")}</p>}
      {ranked.length > 0 && (
        <ul>
          {ranked.map(({ reason, times }) => (
            <li key={reason} data-reason={reason}>
              <span>{reasonText(reason)}</span>
              <svg className="reason-bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                <rect width={(times / most) * 100} height="8" />
              </svg>
              <b>{plural(times, { one: t("times_one"), other: t("times_other", { count: times }) })}</b>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
