import { useState } from "react";
import { Link } from "../../router/router";
import { paths } from "../../router/routes";
import { Header } from "../../shell/header";
import { Icon } from "../../ui/icon";
import { Empty, LoadFailed, Spinner } from "../../ui/notice";
import { Segments } from "../../ui/segments";
import { useResource } from "../../ui/resource";
import { useTitle } from "../../ui/title";
import { unreachable } from "../../api/problem";
import { BlindComparison } from "./blind-comparison";
import { loadCatalogue, type Catalogue } from "./catalogue";
import { SideBySide } from "./side-by-side";
import { t } from "./strings";
import "./listen.css";

export function ListenPage() {
  useTitle(t("title"));
  const catalogue = useResource<{ found: Catalogue | null }>(
    () =>
      loadCatalogue().then(
        (found) => ({ found }),
        () => Promise.reject(unreachable()),
      ),
    "samples",
  );
  return (
    <>
      <Header />
      <main className="column listen" id="content">
        <div>
          <Link to={paths.audio} className="listen-back">
            <Icon name="back" size={18} />
            {t("back")}
          </Link>
          <h1>{t("title")}</h1>
        </div>
        <p className="column-intro">{t("intro")}</p>
        {catalogue.error !== null && <LoadFailed error={catalogue.error} retry={catalogue.reload} />}
        {catalogue.loading && catalogue.value === null && <Spinner />}
        {catalogue.value && !catalogue.value.found && (
          <div className="card" data-testid="no-samples">
            <Empty icon="volume" title={t("empty_title")}>
              {t("empty_text")}
            </Empty>
          </div>
        )}
        {catalogue.value?.found && <Samples catalogue={catalogue.value.found} />}
      </main>
    </>
  );
}

function Samples({ catalogue }: { catalogue: Catalogue }) {
  const [mode, setMode] = useState<"open" | "blind">("open");
  return (
    <>
      <Segments
        label={t("mode")}
        value={mode}
        options={[
          { value: "open", label: t("open_mode") },
          { value: "blind", label: t("blind_mode") },
        ]}
        onChange={setMode}
        data-testid="listen-mode"
      />
      {mode === "blind" ? <BlindComparison catalogue={catalogue} /> : <SideBySide catalogue={catalogue} />}
      {catalogue.model && <p className="row-note">{t("model", { model: catalogue.model })}</p>}
    </>
  );
}
