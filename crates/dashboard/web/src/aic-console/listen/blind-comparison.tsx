import { useEffect, useState } from "react";
import { Button } from "../../ui/button";
import { Notice } from "../../ui/notice";
import { makeTrials, preferred, tally, type Answer, type Choice, type Trial } from "./blind";
import type { Catalogue } from "./catalogue";
import { variantName } from "./names";
import { TransportBar } from "./transport-bar";
import { t } from "./strings";
import { usePlayer } from "./use-player";

export function BlindComparison({ catalogue }: { catalogue: Catalogue }) {
  const [trials, setTrials] = useState<Trial[] | null>(null);
  const [answers, setAnswers] = useState<Answer[]>([]);
  const start = () => {
    setTrials(makeTrials(catalogue));
    setAnswers([]);
  };
  const trial = trials?.[answers.length];
  return (
    <section className="card" aria-label={t("blind_mode")} data-testid="blind">
      {trials === null && (
        <>
          <p>{t("blind_intro")}</p>
          <div>
            <Button look="primary" onClick={start} data-testid="blind-start">
              {t("start")}
            </Button>
          </div>
        </>
      )}
      {trials?.length === 0 && <Notice kind="info">{t("few")}</Notice>}
      {trials && trial && (
        <Comparison
          key={answers.length}
          trial={trial}
          number={answers.length + 1}
          count={trials.length}
          onChoice={(choice) => setAnswers([...answers, { trial, choice }])}
        />
      )}
      {trials && trials.length > 0 && !trial && <Result answers={answers} again={start} />}
    </section>
  );
}

type Side = "a" | "b" | "x";

interface ComparisonProps {
  trial: Trial;
  number: number;
  count: number;
  onChoice(choice: Choice): void;
}

function Comparison({ trial, number, count, onChoice }: ComparisonProps) {
  const player = usePlayer();
  const [side, setSide] = useState<Side>("a");
  const [heard, setHeard] = useState<ReadonlySet<Side>>(new Set());
  const [failed, setFailed] = useState(false);
  const reference = trial.clip.variants.find(({ codec }) => codec === "original");
  const url = (side: Side) => (side === "x" ? (reference ?? trial.a) : trial[side]).url;
  useEffect(() => {
    player.prepare([trial.a.url, trial.b.url, ...(reference ? [reference.url] : [])]);
  }, [player, trial, reference]);
  const hear = (side: Side) => {
    setSide(side);
    player.hear(url(side)).then(
      () => {
        setFailed(false);
        setHeard((old) => new Set([...old, side]));
      },
      () => setFailed(true),
    );
  };
  const both = heard.has("a") && heard.has("b");
  const sides: { side: Side; label: string }[] = [
    { side: "a", label: t("choose_a") },
    { side: "b", label: t("choose_b") },
    ...(reference ? [{ side: "x" as const, label: t("reference") }] : []),
  ];
  return (
    <>
      <h2>{t("of", { number, count })}</h2>
      {trial.clip.text && (
        <blockquote className="listen-text" lang={trial.clip.language}>
          {trial.clip.text}
        </blockquote>
      )}
      {failed && <Notice kind="error">{t("failed")}</Notice>}
      <div className="blind-sides">
        {sides.map(({ side: one, label }) => (
          <button
            key={one}
            type="button"
            className="blind-side"
            aria-pressed={player.playing && side === one}
            onClick={() => hear(one)}
            data-testid={`blind-hear-${one}`}
          >
            <b>{label}</b>
            {one === "x" && <span>{t("reference_note")}</span>}
          </button>
        ))}
      </div>
      <TransportBar player={player} duration={trial.clip.duration_s} onPlay={() => hear(side)} />
      <h3 id="blind-which">{t("which")}</h3>
      <div className="blind-choices" role="group" aria-labelledby="blind-which">
        {(["a", "b", "same"] as const).map((choice) => (
          <Button key={choice} disabled={!both} onClick={() => onChoice(choice)} data-testid={`blind-${choice}`}>
            {t(`choose_${choice}`)}
          </Button>
        ))}
      </div>
      <p className="row-note" role="status">
        {both ? "" : t("heard_first")}
      </p>
    </>
  );
}

function Result({ answers, again }: { answers: Answer[]; again(): void }) {
  const standings = tally(answers);
  return (
    <>
      <h2>{t("result")}</h2>
      {answers.every(({ choice }) => choice === "same") && <p>{t("result_none")}</p>}
      <table className="standings" data-testid="blind-result">
        <thead>
          <tr>
            <th scope="col">{t("column_version")}</th>
            <th scope="col">{t("column_won")}</th>
            <th scope="col">{t("column_lost")}</th>
            <th scope="col">{t("column_same")}</th>
          </tr>
        </thead>
        <tbody>
          {standings.map((standing) => (
            <tr key={standing.id}>
              <th scope="row">{variantName(standing)}</th>
              <td>{standing.won}</td>
              <td>{standing.lost}</td>
              <td>{standing.same}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h3>{t("trials")}</h3>
      <ol className="trials">
        {answers.map((answer, index) => {
          const better = preferred(answer);
          return (
            <li key={index}>
              {t("versus", { a: variantName(answer.trial.a), b: variantName(answer.trial.b) })}
              <span className="row-note">
                {better ? t("you_chose", { name: variantName(better) }) : t("you_same")} · {answer.trial.clip.title}
              </span>
            </li>
          );
        })}
      </ol>
      <div>
        <Button onClick={again}>{t("again")}</Button>
      </div>
    </>
  );
}
