import { useState } from "react";
import * as aicApi from "../api/aic";
import { api } from "../auth/current";
import { paths } from "../router/routes";
import { Header } from "../shell/header";
import { LinkButton } from "../ui/button";
import { useResource } from "../ui/resource";
import { useTitle } from "../ui/title";
import { Alerts } from "./alerts-section";
import { Measurements } from "./measurements-section";
import { ModelsSection } from "./models-section";
import { SessionsSection } from "./sessions-section";
import { SettingsSection } from "./settings-section";
import { t } from "./strings";
import "./audio.css";

export function AudioPage() {
  useTitle(t("title"));
  const config = useResource(() => aicApi.getConfig(api), "aic-config");
  const [saved, setSaved] = useState(false);
  return (
    <>
      <Header />
      <main className="audio" id="content">
        <header className="audio-head">
          <div>
            <h1>{t("title")}</h1>
            <p className="audio-intro">{t("intro")}</p>
          </div>
          <LinkButton icon="volume" to={paths.listen} data-testid="listen-link">
            {t("listen_link")}
          </LinkButton>
        </header>
        <Alerts />
        <Measurements config={config.value} />
        <div className="audio-columns">
          <SessionsSection />
          <SettingsSection
            config={config}
            saved={saved}
            onEdit={() => setSaved(false)}
            onSaved={(stored) => {
              config.set(() => stored);
              setSaved(true);
            }}
          />
        </div>
        <ModelsSection />
      </main>
    </>
  );
}
