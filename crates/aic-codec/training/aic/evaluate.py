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


def quality_free_of_length(reference: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = min(len(reference), len(out))
    return reference[:n].astype(np.float32), out[:n].astype(np.float32)


def score(job: tuple[Path, Path, tuple[str, ...]]) -> dict[str, float]:
    """All asked-for scores of one rendering."""
    reference, out = (soundfile.read(p, dtype="float32")[0] for p in job[:2])
    reference, out = quality_free_of_length(reference, out)
    row = {}
    for column in job[2]:
        row[column] = round(float(SCORES[column](reference, out)), 4)
    return row


def pesq_of(reference: np.ndarray, out: np.ndarray) -> float:
    from pesq import NoUtterancesError, pesq

    try:
        return pesq(SAMPLE_RATE, reference, out, "wb")
    except NoUtterancesError:
        return float("nan")


def stoi_of(reference: np.ndarray, out: np.ndarray) -> float:
    from pystoi import stoi

    return stoi(reference, out, SAMPLE_RATE)


_visqol = None


def visqol_of(reference: np.ndarray, out: np.ndarray) -> float:
    global _visqol
    if _visqol is None:
        from visqol import VisqolApi

        _visqol = VisqolApi()
        _visqol.create(mode="speech")
    return _visqol.measure_from_arrays(reference.astype(np.float64), out.astype(np.float64), SAMPLE_RATE).moslqo


def dnsmos_of(out: np.ndarray) -> dict:
    from speechmos import dnsmos

    return dnsmos.run(np.clip(out, -1, 1), SAMPLE_RATE)


def plcmos_of(_: np.ndarray, out: np.ndarray) -> float:
    from speechmos import plcmos

    return plcmos.run(np.clip(out, -1, 1), SAMPLE_RATE)["plcmos"]


SCORES = {
    "plcmos": plcmos_of,
    "pesq": pesq_of,
    "stoi": stoi_of,
    "visqol": visqol_of,
    "p808": lambda _, out: dnsmos_of(out)["p808_mos"],
    "ovrl": lambda _, out: dnsmos_of(out)["ovrl_mos"],
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
