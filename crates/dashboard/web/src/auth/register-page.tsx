import { useState } from "react";
import * as authApi from "../api/auth";
import { DISPLAY_NAME_MAX } from "../api/limits";
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

const MIN_PASSWORD = 10;

export function RegisterPage({ next }: { next: string | null }) {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [short, setShort] = useState(false);
  const action = useAction(async () => {
    const account = { email: email.trim(), password, display_name: name.trim() };
    session.signIn(await authApi.register(publicApi, account));
  });
  const problem = action.error instanceof ApiError ? action.error : null;
  const taken = problem?.status === 409;
  const named = taken || ["display_name", "email", "password"].some((field) => problem?.field(field));
  const submit = () => {
    const tooShort = [...password].length < MIN_PASSWORD;
    setShort(tooShort);
    if (!tooShort) void action.run();
  };
  return (
    <AuthFrame
      title={t("register_title")}
      intro={t("register_intro")}
      below={
        <>
          {t("have_account")} <Link to={paths.login(next ?? undefined)}>{t("login")}</Link>
        </>
      }
    >
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        {action.error !== null && !named && <Notice kind="error">{messageOf(action.error)}</Notice>}
        <Field
          label={t("display_name")}
          hint={t("display_name_hint")}
          error={problem?.field("display_name")}
          autoComplete="name"
          required
          maxLength={DISPLAY_NAME_MAX}
          autoFocus
          value={name}
          onChange={(event) => setName(event.target.value)}
          data-testid="display-name"
        />
        <Field
          label={t("email")}
          error={taken ? t("email_taken") : problem?.field("email")}
          type="email"
          autoComplete="email"
          required
          value={email}
          onChange={(event) => setEmail(event.target.value)}
          data-testid="email"
        />
        <Field
          label={t("password")}
          hint={t("password_hint")}
          error={short ? t("password_short") : problem?.field("password")}
          type="password"
          autoComplete="new-password"
          required
          value={password}
          onChange={(event) => {
            setPassword(event.target.value);
            setShort(false);
          }}
          data-testid="password"
        />
        <Button look="primary" type="submit" busy={action.busy} data-testid="submit">
          {t("register")}
        </Button>
      </form>
    </AuthFrame>
  );
}
