import { useId, useState } from "react";
import * as aicApi from "../api/aic";
import { ApiError, messageOf } from "../api/problem";
import type { AicConfig } from "../api/types";
import { api } from "../auth/current";
import { Button } from "../ui/button";
import { Field, Switch } from "../ui/field";
import { Notice, Spinner } from "../ui/notice";
import { useAction, type Resource } from "../ui/resource";
import { draftOf, FIELDS, MODES, read, same, type Draft } from "./settings";
import { t } from "./strings";
import { Unavailable } from "./unavailable";

interface SectionProps {
  config: Resource<AicConfig>;
  saved: boolean;
  onEdit(): void;
  onSaved(config: AicConfig): void;
}

export function SettingsSection({ config, ...rest }: SectionProps) {
  return (
    <section className="card audio-settings" aria-labelledby="audio-settings">
      <h2 id="audio-settings">{t("settings")}</h2>
      {config.error !== null && config.value === null && <Unavailable error={config.error} retry={config.reload} />}
      {config.error === null && config.value === null && <Spinner />}
      {config.value && <Form key={config.value.updated_at ?? "default"} stored={config.value} {...rest} />}
    </section>
  );
}

function Form({ stored, saved, onEdit, onSaved }: { stored: AicConfig } & Omit<SectionProps, "config">) {
  const [draft, setDraft] = useState(() => draftOf(stored));
  const [tried, setTried] = useState(false);
  const meaning = read(draft);
  const save = useAction(async () => {
    setTried(true);
    if ("change" in meaning) onSaved(await aicApi.changeConfig(api, meaning.change));
  });
  const change = (part: Partial<Draft>) => {
    setDraft((old) => ({ ...old, ...part }));
    onEdit();
  };
  const fault = (name: keyof typeof FIELDS): string | undefined => {
    const range = tried && "faults" in meaning ? meaning.faults[name] : undefined;
    if (range) return t("between", { min: range[0], max: range[1] });
    return save.error instanceof ApiError ? save.error.field(FIELDS[name]) : undefined;
  };
  const named = (Object.keys(FIELDS) as (keyof typeof FIELDS)[]).some((name) => fault(name) !== undefined);
  const typed = (name: keyof typeof FIELDS, label: string, hint: string) => (
    <Field
      label={label}
      hint={hint}
      error={fault(name)}
      inputMode="decimal"
      autoComplete="off"
      value={draft[name]}
      onChange={(event) => change({ [name]: event.target.value })}
      data-testid={`aic-${name}`}
    />
  );
  return (
    <form
      className="form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save.run();
      }}
    >
      {stored.updated_at === null && <p className="row-note">{t("settings_default")}</p>}
      {save.error !== null && !named && <Notice kind="error">{messageOf(save.error)}</Notice>}
      <Switch label={t("enabled")} hint={t("enabled_hint")} checked={draft.enabled} onChange={(enabled) => change({ enabled })} />
      <ModeChoice draft={draft} change={change} />
      <div className="form-row">
        {typed("target", t("target_field"), t("target_hint"))}
        {typed("latency", t("latency_field"), t("latency_hint"))}
        {typed("quality", t("quality_field"), t("quality_hint"))}
      </div>
      <Switch label={t("fallback_field")} hint={t("fallback_hint")} checked={draft.fallback} onChange={(fallback) => change({ fallback })} />
      <details className="audio-advanced">
        <summary>{t("advanced")}</summary>
        <Switch label={t("gpu")} hint={t("gpu_hint")} checked={draft.gpu} onChange={(gpu) => change({ gpu })} />
        {typed("device", t("device"), "")}
      </details>
      <div className="settings-save">
        <Button look="primary" type="submit" busy={save.busy} disabled={same(draft, draftOf(stored))} data-testid="aic-save">
          {t("save")}
        </Button>
        <span role="status">{saved ? t("saved_note") : ""}</span>
      </div>
    </form>
  );
}

function ModeChoice({ draft, change }: { draft: Draft; change(part: Partial<Draft>): void }) {
  const group = useId();
  return (
    <fieldset className="mode-choice" data-testid="aic-mode">
      <legend>{t("mode")}</legend>
      {MODES.map((mode) => (
        <label key={mode}>
          <input type="radio" name={group} value={mode} checked={draft.mode === mode} onChange={() => change({ mode })} />
          <span>
            <strong>{t(`mode_${mode}`)}</strong>
            <span className="row-note">{t(`mode_${mode}_text`)}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
