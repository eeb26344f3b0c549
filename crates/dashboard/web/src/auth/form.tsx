// The frame of the sign-in pages.
import type { ReactNode } from "react";
import { Icon, Logo, type IconName } from "../ui/icon";
import { t } from "./strings";

export function AuthFrame({ title, intro, children, below }: { title: string; intro: string; children: ReactNode; below: ReactNode }) {
  const points: [IconName, string][] = [
    ["link", t("point_link")],
    ["screen", t("point_share")],
    ["lock", t("point_own")],
  ];
  return (
    <main className="auth">
      <section className="auth-story">
        <div className="auth-brand">
          <Logo size={36} />
          <span>AuraLink</span>
        </div>
        <p className="auth-tagline">{t("tagline")}</p>
        <ul className="auth-points">
          {points.map(([icon, text]) => (
            <li key={icon}>
              <Icon name={icon} />
              {text}
            </li>
          ))}
        </ul>
      </section>
      <section className="auth-panel">
        <div className="auth-card">
          <h1>{title}</h1>
          <p className="auth-intro">{intro}</p>
          {children}
          <p className="auth-below">{below}</p>
        </div>
      </section>
    </main>
  );
}
