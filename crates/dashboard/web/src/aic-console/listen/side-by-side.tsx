import { useEffect, useId, useState } from "react";
import { Select } from "../../ui/field";
import { Notice } from "../../ui/notice";
import type { Catalogue, Clip, Variant } from "./catalogue";
import { scoreTexts, variantName, variantNote } from "./names";
import { TransportBar } from "./transport-bar";
import { t } from "./strings";
import { usePlayer } from "./use-player";

export function SideBySide({ catalogue }: { catalogue: Catalogue }) {
  const [id, setId] = useState(catalogue.clips[0]!.id);
  const clip = catalogue.clips.find((clip) => clip.id === id) ?? catalogue.clips[0]!;
  return (
    <section className="card" aria-label={t("open_mode")}>
      <Select
        label={t("clip")}
        value={clip.id}
        options={catalogue.clips.map(({ id, title }) => ({ value: id, label: title }))}
        onChange={setId}
        data-testid="listen-clip"
      />
      <ClipPlayer key={clip.id} clip={clip} />
      <p className="row-note">{t("scores_hint")}</p>
    </section>
  );
}

function ClipPlayer({ clip }: { clip: Clip }) {
  const player = usePlayer();
  const group = useId();
  const [chosen, setChosen] = useState<Variant>(clip.variants[0]!);
  const [failed, setFailed] = useState(false);
  const hear = (variant: Variant, start: boolean) => {
    setChosen(variant);
    player.hear(variant.url, { start }).then(
      () => setFailed(false),
      () => setFailed(true),
    );
  };
  useEffect(() => {
    player.prepare(clip.variants.map(({ url }) => url));
  }, [player, clip]);
  return (
    <>
      {clip.text && (
        <blockquote className="listen-text" lang={clip.language}>
          {clip.text}
        </blockquote>
      )}
      {failed && <Notice kind="error">{t("failed")}</Notice>}
      <TransportBar player={player} duration={clip.duration_s} onPlay={() => hear(chosen, true)} />
      <fieldset className="variants">
        <legend className="visually-hidden">{t("variants")}</legend>
        {clip.variants.map((variant) => (
          <label key={variant.id} className={`variant-${variant.codec}`}>
            <input
              type="radio"
              name={group}
              checked={variant === chosen}
              onChange={() => hear(variant, player.playing)}
              data-testid={`listen-${variant.id}`}
            />
            <span className="variant-text">
              <strong>{variantName(variant)}</strong>
              <span className="row-note">{variantNote(variant)}</span>
            </span>
            <span className="variant-scores">
              {scoreTexts(variant.scores).map((text) => (
                <span key={text} className="tag">
                  {text}
                </span>
              ))}
            </span>
          </label>
        ))}
      </fieldset>
      {clip.credit && <p className="row-note">{clip.credit}</p>}
    </>
  );
}
