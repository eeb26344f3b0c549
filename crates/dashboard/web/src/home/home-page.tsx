import { useUser } from "../auth/current";
import { brief } from "../i18n/brief";
import { Header } from "../shell/header";
import { useTitle } from "../ui/title";
import { CallsSection } from "./calls-section";
import { PeopleSection } from "./people-section";
import { RoomsSection } from "./rooms-section";
import { t } from "./strings";
import "./home.css";

export function HomePage() {
  const user = useUser();
  useTitle("AuraLink");
  return (
    <>
      <Header />
      <main className="home" id="content">
        <header className="home-hello">
          <h1>{t("hello", { name: brief(user.display_name, 40) })}</h1>
          <p>
            {t("share_id")} <strong className="aura-id">{user.aura_id}</strong>
          </p>
        </header>
        <div className="home-main">
          <RoomsSection />
        </div>
        <div className="home-side">
          <PeopleSection />
          <CallsSection />
        </div>
      </main>
    </>
  );
}
