import { useState } from "react";
import * as authApi from "../api/auth";
import { ApiError, messageOf } from "../api/problem";
import { Link } from "../router/router";
import { paths } from "../router/routes";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { Notice } from "../ui/notice";
import { useAction } from "../ui/resource";
import { publicApi, session } from "./current";
import { AuthFrame } from "./form";
import { t } from "./strings";

export function LoginPage({ next }: { next: string | null }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const action = useAction(async () => {
    session.signIn(await authApi.login(publicApi, { email: email.trim(), password }));
  });
  const refused = action.error instanceof ApiError && action.error.status === 401;
  return (
    <AuthFrame
      title={t("login_title")}
      intro={t("login_intro")}
      below={
        <>
          {t("no_account")} <Link to={paths.register(next ?? undefined)}>{t("create_account")}</Link>
        </>
      }
    >
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          void action.run();
        }}
      >
        {action.error !== null && <Notice kind="error">{refused ? t("wrong") : messageOf(action.error)}</Notice>}
        <Field
          label={t("email")}
          type="email"
          autoComplete="username"
          required
          autoFocus
          value={email}
          onChange={(event) => setEmail(event.target.value)}
          data-testid="email"
        />
        <Field
          label={t("password")}
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          data-testid="password"
        />
        <Button look="primary" type="submit" busy={action.busy} data-testid="submit">
          {t("login")}
        </Button>
      </form>
    </AuthFrame>
  );
}
