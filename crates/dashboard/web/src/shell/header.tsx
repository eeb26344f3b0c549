import { useUser, session } from "../auth/current";
import { useRealtimeReady } from "../realtime/current";
import { Link, navigate, useRoute } from "../router/router";
import { paths } from "../router/routes";
import { Avatar } from "../ui/avatar";
import { Icon, Logo } from "../ui/icon";
import { MenuItem, Popover } from "../ui/popover";
import { Name } from "../ui/name";
import { useLate } from "../ui/late";
import { t } from "./strings";

export function Header() {
  const user = useUser();
  const route = useRoute();
  const away = useLate(!useRealtimeReady(), 3000);
  const pages = [
    { to: paths.home, name: "home", text: t("home") },
    { to: paths.files, name: "files", text: t("files") },
    { to: paths.audio, name: "audio", text: t("audio") },
  ];
  return (
    <header className="header">
      <a className="skip" href="#content">
        {t("skip")}
      </a>
      <Link to={paths.home} className="header-brand" aria-label="AuraLink">
        <Logo />
        <span>AuraLink</span>
      </Link>
      <nav aria-label={t("navigation")}>
        {pages.map((page) => (
          <Link key={page.name} to={page.to} aria-current={route.name === page.name ? "page" : undefined}>
            {page.text}
          </Link>
        ))}
      </nav>
      {away && (
        <span className="header-away" role="status">
          <span className="spinner spinner-small" />
          {t("reconnecting")}
        </span>
      )}
      <Popover
        menu
        label={t("account")}
        trigger={(props) => (
          <button type="button" className="header-user" aria-label={t("account")} data-testid="account" {...props}>
            <Avatar name={user.display_name} id={user.id} size="small" />
            <Icon name="chevron-down" size={16} />
          </button>
        )}
      >
        {(close) => (
          <>
            <div className="menu-head">
              <Name as="strong">{user.display_name}</Name>
              <span>{user.aura_id}</span>
            </div>
            <MenuItem
              icon="settings"
              onSelect={() => {
                close();
                navigate(paths.settings);
              }}
            >
              {t("settings")}
            </MenuItem>
            <MenuItem icon="leave" onSelect={() => void session.signOut().catch(() => {})} data-testid="log-out">
              {t("log_out")}
            </MenuItem>
          </>
        )}
      </Popover>
    </header>
  );
}
