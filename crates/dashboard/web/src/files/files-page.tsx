import { api } from "../auth/current";
import { Header } from "../shell/header";
import { useTitle } from "../ui/title";
import { FileList } from "./file-list";
import { t } from "./strings";
import { useFiles } from "./use-files";

export function FilesPage() {
  useTitle(t("title"));
  const files = useFiles(api, null, () => {});
  return (
    <>
      <Header />
      <main className="column" id="content">
        <h1>{t("title")}</h1>
        <p className="column-intro">{t("intro")}</p>
        <section className="card">
          <FileList api={api} files={files} emptyText={t("empty_text")} canManage showRoom />
        </section>
      </main>
    </>
  );
}
