// Data saver: what it does right now, in the top bar, with its switches behind it.
import { useAic, type Aic } from "../../aic/use-aic";
import { Switch } from "../../ui/field";
import { Icon } from "../../ui/icon";
import { Popover } from "../../ui/popover";
import { useDataSaver } from "../data-saver/use-data-saver";
import { t } from "../strings";

/** One line for the bar. */
function summary({ state, kbps, voices }: Aic): string {
  switch (state) {
    case "aic":
      return kbps === null ? t("low_on") : t("low_rate", { kbps: String(kbps) });
    case "starting":
      return t("low_starting");
    case "low":
      return t("low_opus_short");
    case "both":
    case "idle":
      return voices > 0 ? t("low_listening") : t("low_on");
  }
}

function sending({ state, kbps, opusKbps }: Aic): string {
  switch (state) {
    case "aic":
      return kbps === null ? t("low_sending_aic") : t("low_sending_rate", { kbps: String(kbps) });
    case "both":
      return t("low_sending_both");
    case "low":
      return t("low_sending_opus", { kbps: String(opusKbps) });
    case "starting":
    case "idle":
      return t("low_sending_normal");
  }
}

/** Shown while data are saved here, or while somebody else's wish changes what this page sends. */
export function LowBandwidth() {
  const aic = useAic();
  if (!aic.want && aic.state === "idle") return null;
  const label = t("low_status", { text: summary(aic) });
  return (
    <Popover
      label={t("low")}
      align="start"
      trigger={(props) => (
        <button type="button" className={`low low-${aic.state}`} aria-label={label} title={label} data-testid="low-bandwidth-status" data-state={aic.state} data-reason={aic.reason ?? undefined} {...props}>
          <Icon name="wave" size={16} />
          <span>{summary(aic)}</span>
        </button>
      )}
    >
      {() => <Details aic={aic} />}
    </Popover>
  );
}

function Details({ aic }: { aic: Aic }) {
  const { noVideo, setNoVideo } = useDataSaver();
  return (
    <div className="low-details">
      <Switch label={t("low")} hint={t("low_hint")} checked={aic.want} onChange={aic.setWant} />
      {aic.want && <Switch label={t("low_no_video")} hint={t("low_no_video_hint")} checked={noVideo} onChange={setNoVideo} data-testid="no-video" />}
      <dl>
        <div>
          <dt>{t("low_sending")}</dt>
          <dd>{sending(aic)}</dd>
        </div>
        {aic.reason && (
          <div>
            <dt>{t("low_why")}</dt>
            <dd>{aic.reason === "unavailable" && aic.here ? t("low_reason_here") : t(`low_reason_${aic.reason}`)}</dd>
          </div>
        )}
        {aic.quality !== null && (
          <div>
            <dt>{t("low_quality")}</dt>
            <dd>{t("low_quality_of", { percent: String(Math.round(aic.quality * 100)) })}</dd>
          </div>
        )}
        <div>
          <dt>{t("low_voices")}</dt>
          <dd>{aic.voices === 0 ? t("low_voices_none") : String(aic.voices)}</dd>
        </div>
      </dl>
    </div>
  );
}
