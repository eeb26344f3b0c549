"""Objective scores of coded speech against its original: PESQ (P.862.2), STOI, ViSQOL in speech mode, DNSMOS P.808 and
OVRL, and our own `quality_score`. None of them is a listener; they are printed side by side because they disagree.

A folder of renderings holds `reference/<clip>.wav` and `<condition>/<clip>.wav`, 16 kHz mono, in step to a sample. The
scores go to one CSV, a row a clip and condition, and are not computed twice.
"""

import csv
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from . import SAMPLE_RATE

COLUMNS = ("pesq", "stoi", "visqol", "p808", "ovrl")


def score(job: tuple[Path, Path, tuple[str, ...]]) -> dict[str, float]:
    """All asked-for scores of one rendering; a judge that gives several is asked once."""
    reference, out = (soundfile.read(p, dtype="float32")[0] for p in job[:2])
    n = min(len(reference), len(out))
    row = {}
    for judge, columns in JUDGES.items():
        if not set(columns).isdisjoint(job[2]):
            row |= dict(zip(columns, judge(reference[:n], out[:n]), strict=True))
    return {column: round(float(row[column]), 4) for column in job[2]}


def pesq_of(reference: np.ndarray, out: np.ndarray) -> tuple[float]:
    from pesq import NoUtterancesError, pesq

    try:
        return (pesq(SAMPLE_RATE, reference, out, "wb"),)
    except NoUtterancesError:
        return (float("nan"),)


def stoi_of(reference: np.ndarray, out: np.ndarray) -> tuple[float]:
    from pystoi import stoi

    return (stoi(reference, out, SAMPLE_RATE),)


_visqol = None


def visqol_of(reference: np.ndarray, out: np.ndarray) -> tuple[float]:
    global _visqol
    if _visqol is None:
        from visqol import VisqolApi

        _visqol = VisqolApi()
        _visqol.create(mode="speech")
    pair = (reference.astype(np.float64), out.astype(np.float64))
    return (_visqol.measure_from_arrays(*pair, SAMPLE_RATE).moslqo,)


def dnsmos_of(_: np.ndarray, out: np.ndarray) -> tuple[float, float]:
    from speechmos import dnsmos

    got = dnsmos.run(np.clip(out, -1, 1), SAMPLE_RATE)
    return got["p808_mos"], got["ovrl_mos"]


def plcmos_of(_: np.ndarray, out: np.ndarray) -> tuple[float]:
    from speechmos import plcmos

    return (plcmos.run(np.clip(out, -1, 1), SAMPLE_RATE)["plcmos"],)


#: Which columns each judge fills.
JUDGES = {
    pesq_of: ("pesq",),
    stoi_of: ("stoi",),
    visqol_of: ("visqol",),
    dnsmos_of: ("p808", "ovrl"),
    plcmos_of: ("plcmos",),
}


def evaluate(folder: Path, table: Path, columns: tuple[str, ...] = COLUMNS, workers: int = 1) -> list[dict]:
    """Scores every rendering under `folder`, appends what is new to `table`, and returns all rows."""
    rows = list(csv.DictReader(table.open())) if table.exists() else []
    done = {(r["condition"], r["clip"]) for r in rows}
    jobs = []
    for condition in sorted(p for p in folder.iterdir() if p.is_dir()):
        for out in sorted(condition.glob("*.wav")):
            if (condition.name, out.stem) not in done:
                jobs.append((condition.name, out.stem, (folder / "reference" / out.name, out, columns)))
    with ProcessPoolExecutor(workers) as pool, table.open("a", newline="") as sink:
        writer = csv.DictWriter(sink, ("condition", "clip", *columns))
        if not rows:
            writer.writeheader()
        for number, ((condition, clip, _), got) in enumerate(
            zip(jobs, pool.map(score, [j for _, _, j in jobs]), strict=True), 1
        ):
            row = {"condition": condition, "clip": clip, **got}
            writer.writerow(row)
            rows.append(row)
            if number % 20 == 0:
                sink.flush()
                print(f"scored {number} of {len(jobs)}", flush=True)
    return rows


def summary(rows: list[dict], columns: tuple[str, ...] = COLUMNS) -> dict[str, dict[str, tuple[float, float, int]]]:
    """Mean, standard error and n of each column for each condition."""
    out = {}
    for condition in sorted({r["condition"] for r in rows}):
        out[condition] = {}
        for column in columns:
            values = np.array([float(r[column]) for r in rows if r["condition"] == condition and r.get(column)])
            values = values[~np.isnan(values)]
            if len(values):
                error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
                out[condition][column] = (float(values.mean()), float(error), len(values))
    return out
