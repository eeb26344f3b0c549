// One plot over time: a figure with its title, what it measures, and values that can be read by pointer, by touch
// and by keyboard (arrows move from measurement to measurement). Lines stop where nothing was measured.
import { useId, useMemo, useRef, type KeyboardEvent, type PointerEvent, type ReactNode } from "react";
import { useSize } from "../meeting/stage/use-size";
import { nearest, runs, timeTicks, valueScale, type Sample } from "./scale";
import "./plot.css";

export interface Series {
  name: string;
  /** Which of the plot colours, and whether the line is dashed. */
  look: "main" | "second" | "faint";
  samples: Sample[];
}

export interface PlotProps {
  title: string;
  /** What is measured and in which unit: "share of payload, %". */
  unit: string;
  /** The figure of the whole span. */
  headline: ReactNode;
  series: Series[];
  kind?: "line" | "bars";
  /** A line values should stay above or below. */
  threshold?: { value: number; label: string } | undefined;
  floor?: number;
  ceiling?: number;
  format(value: number): string;
  formatTime(at: number): string;
  formatTick(at: number): string;
  from: number;
  to: number;
  bucketMs: number;
  /** The measurement being read, shared by plots of one page. */
  selected: number | null;
  onSelect(at: number | null): void;
}

const HEIGHT = 150;
const LEFT = 44;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 24;

export function Plot(props: PlotProps) {
  const { title, unit, headline, series, kind = "line", threshold, from, to, bucketMs, selected, onSelect } = props;
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const { width } = useSize(box);
  const inner = { width: Math.max(0, width - LEFT - RIGHT), height: HEIGHT - TOP - BOTTOM };

  const times = useMemo(() => {
    const all = new Set(series.flatMap(({ samples }) => samples.filter(({ value }) => value !== null).map(({ at }) => at)));
    return [...all].sort((a, b) => a - b).map((at) => ({ at }));
  }, [series]);
  const largest = Math.max(0, threshold?.value ?? 0, ...series.flatMap(({ samples }) => samples.map(({ value }) => value ?? 0)));
  const { floor, ceiling } = props;
  const y = valueScale(largest, inner.height, {
    ...(floor === undefined ? {} : { floor }),
    ...(ceiling === undefined ? {} : { ceiling }),
    count: 3,
  });
  const x = (at: number) => ((at - from) / Math.max(1, to - from)) * inner.width;

  const index = selected === null ? null : nearest(times, selected);
  const chosen = index === null ? undefined : times[index];
  const shown = chosen && selected !== null && Math.abs(chosen.at - selected) <= bucketMs * 1.5 ? chosen.at : null;
  const readings = series.map((one) => ({ ...one, value: one.samples.find(({ at }) => at === shown)?.value ?? null }));
  const reading = (at: number) =>
    `${props.formatTime(at)}: ${series
      .map(({ name, samples }) => ({ name, value: samples.find((sample) => sample.at === at)?.value ?? null }))
      .filter((one): one is { name: string; value: number } => one.value !== null)
      .map(({ name, value }) => (series.length > 1 ? `${name} ${props.format(value)}` : props.format(value)))
      .join(", ")}`;

  const point = (event: PointerEvent<HTMLDivElement>) => {
    const bounds = event.currentTarget.getBoundingClientRect();
    const at = from + ((event.clientX - bounds.left - LEFT) / Math.max(1, inner.width)) * (to - from);
    const found = nearest(times, at);
    onSelect(found === null ? null : (times[found]?.at ?? null));
  };
  const key = (event: KeyboardEvent) => {
    const last = times.length - 1;
    const here = index ?? last + 1;
    const next = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") onSelect(null);
    if (next === undefined || last < 0) return;
    event.preventDefault();
    onSelect(times[Math.min(last, Math.max(0, next))]?.at ?? null);
  };

  return (
    <figure className="plot card" aria-labelledby={`${id}-title`} data-testid="plot">
      <figcaption>
        <span>
          <strong id={`${id}-title`}>{title}</strong>
          <span className="plot-unit">{unit}</span>
        </span>
        <span className="plot-headline">{headline}</span>
      </figcaption>
      <div
        className="plot-area"
        ref={box}
        tabIndex={0}
        role="slider"
        aria-labelledby={`${id}-title`}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, times.length - 1)}
        aria-valuenow={index ?? Math.max(0, times.length - 1)}
        aria-valuetext={shown === null ? unit : reading(shown)}
        onPointerMove={point}
        onPointerDown={point}
        onPointerLeave={() => onSelect(null)}
        onKeyDown={key}
        onBlur={() => onSelect(null)}
      >
        {width > 0 && (
          <svg width={width} height={HEIGHT} aria-hidden="true" focusable="false">
            <g transform={`translate(${LEFT} ${TOP})`}>
              {y.ticks.map((tick) => (
                <g key={tick} transform={`translate(0 ${y.at(tick)})`}>
                  <line className="plot-grid" x2={inner.width} />
                  <text className="plot-label" x={-8} dy="0.32em" textAnchor="end">
                    {props.format(tick)}
                  </text>
                </g>
              ))}
              {timeTicks(from, to, Math.max(2, Math.floor(inner.width / 72)), -new Date(to).getTimezoneOffset() * 60_000).map((at) => (
                <text key={at} className="plot-label" x={x(at)} y={inner.height + 18} textAnchor="middle">
                  {props.formatTick(at)}
                </text>
              ))}
              {series.map((one) => (
                <g key={one.name} className={`plot-${one.look}`}>
                  {kind === "bars"
                    ? one.samples.map(({ at, value }) =>
                        value === null || value <= 0 ? null : (
                          <rect
                            key={at}
                            className="plot-bar"
                            x={x(at)}
                            width={Math.max(1.5, x(at + bucketMs) - x(at) - 1)}
                            y={y.at(Math.min(value, y.max))}
                            height={inner.height - y.at(Math.min(value, y.max))}
                          />
                        ),
                      )
                    : runs(one.samples, bucketMs * 1.5).map((run) => {
                        const place = (sample: { at: number; value: number }) =>
                          `${x(sample.at + bucketMs / 2).toFixed(1)} ${y.at(clamp(sample.value, y.min, y.max)).toFixed(1)}`;
                        const first = run[0];
                        return run.length === 1 && first ? (
                          <circle key={first.at} className="plot-dot" r={2.5} transform={`translate(${place(first)})`} />
                        ) : (
                          <path key={first?.at} className="plot-line" d={`M${run.map(place).join("L")}`} />
                        );
                      })}
                </g>
              ))}
              {threshold && threshold.value <= y.max && (
                <g transform={`translate(0 ${y.at(threshold.value)})`}>
                  <line className="plot-threshold" x2={inner.width} />
                </g>
              )}
              {shown !== null && (
                <g transform={`translate(${x(shown + bucketMs / 2)} 0)`}>
                  <line className="plot-cursor" y2={inner.height} />
                  {readings.map(
                    ({ name, look, value }) =>
                      value !== null && (
                        <circle key={name} className={`plot-mark plot-${look}`} r={4} cy={y.at(clamp(value, y.min, y.max))} />
                      ),
                  )}
                </g>
              )}
            </g>
          </svg>
        )}
      </div>
      <div className="plot-legend">
        {shown !== null && <time dateTime={new Date(shown).toISOString()}>{props.formatTime(shown)}</time>}
        {readings.map(({ name, look, value }) => (
          <span key={name} className={`plot-key plot-${look}${kind === "bars" ? " plot-key-bars" : ""}`}>
            {name}
            {shown !== null && <b>{value === null ? "–" : props.format(value)}</b>}
          </span>
        ))}
        {threshold && (
          <span className="plot-key plot-limit">
            {threshold.label} {shown === null && props.format(threshold.value)}
          </span>
        )}
      </div>
    </figure>
  );
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
