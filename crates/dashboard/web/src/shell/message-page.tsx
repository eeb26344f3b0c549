import { Component, type ReactNode } from "react";
import { paths } from "../router/routes";
import { Button, LinkButton } from "../ui/button";
import { Icon, type IconName } from "../ui/icon";
import { useTitle } from "../ui/title";
import { t } from "./strings";

interface MessageProps {
  icon: IconName;
  title: string;
  text: string;
  children?: ReactNode;
}

/** A whole page that says one thing and offers a way on. */
export function MessagePage({ icon, title, text, children }: MessageProps) {
  useTitle(title);
  return (
    <main className="message-page" id="content">
      <span className="message-icon">
        <Icon name={icon} size={30} />
      </span>
      <h1>{title}</h1>
      <p>{text}</p>
      <div className="message-actions">{children}</div>
    </main>
  );
}

export function NotFoundPage() {
  return (
    <MessagePage icon="search" title={t("not_found_title")} text={t("not_found")}>
      <LinkButton look="primary" to={paths.home}>
        {t("go_home")}
      </LinkButton>
    </MessagePage>
  );
}

/** The last resort when a page throws while rendering. */
export class CrashGuard extends Component<{ children: ReactNode }, { crashed: boolean }> {
  override state = { crashed: false };

  static getDerivedStateFromError() {
    return { crashed: true };
  }

  override render() {
    if (!this.state.crashed) return this.props.children;
    return (
      <MessagePage icon="warning" title={t("crashed_title")} text={t("crashed")}>
        <Button look="primary" onClick={() => location.reload()}>
          {t("reload")}
        </Button>
      </MessagePage>
    );
  }
}
