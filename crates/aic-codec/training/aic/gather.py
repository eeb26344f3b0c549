"""Recordings of Common Voice (CC0) to what `prepare --more` reads: 16 kHz FLAC, a few clips of each of many speakers."""

import csv
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from . import FRAME, SAMPLE_RATE

#: Of one speaker: a few talkative ones would otherwise be half of the hours.
CLIPS_OF_ONE = 10
#: Between the loud and the quiet frames of a clip; under it there is more room than voice.
LEAST_SPREAD_DB = 30
#: Kept before the first word and after the last.
MARGIN_FRAMES = 15


def clips_of(source: Path) -> list[Path]:
    """`clips` that people approved in each language folder, or every MP3 where nothing says who speaks."""
    tables = sorted(source.rglob("validated.tsv"))
    if not tables:
        return sorted(source.rglob("*.mp3"))
    spoken, found = Counter(), []
    for table in tables:
        with table.open(newline="") as rows:
            for row in csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE):
                spoken[row["client_id"]] += 1
                path = table.parent / "clips" / row["path"]
                if spoken[row["client_id"]] <= CLIPS_OF_ONE and path.exists():
                    found.append(path)
    return found


def speech_of(path: Path) -> np.ndarray | None:
    """The clip at 16 kHz without the silence around it; nothing where it is broken, noisy or shorter than 2 s."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        return None
    samples = resample_poly(samples.mean(1), SAMPLE_RATE, rate).astype(np.float32)
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    level = 10 * np.log10((frames**2).mean(1) + 1e-10)
    if len(level) < 100:
        return None
    loud, quiet = np.percentile(level, (95, 10))
    if loud - quiet < LEAST_SPREAD_DB or loud < -50:
        return None
    active = np.flatnonzero(level > loud - 35)
    first, last = max(active[0] - MARGIN_FRAMES, 0), active[-1] + 1 + MARGIN_FRAMES
    return frames[first:last].reshape(-1) if last - first >= 100 else None


def convert(job: tuple[Path, Path]) -> float:
    """Seconds written, 0 where the clip was left out."""
    samples = speech_of(job[0])
    if samples is None:
        return 0.0
    # Peaks as they are: how loud people speak is part of what is to be learned.
    soundfile.write(job[1], np.clip(samples, -1, 1), SAMPLE_RATE, subtype="PCM_16")
    return len(samples) / SAMPLE_RATE


def gather(sources: list[Path], out: Path, workers: int) -> None:
    for source in sources:
        folder = out / source.resolve().name
        folder.mkdir(parents=True, exist_ok=True)
        jobs = [(clip, folder / f"{clip.stem}.flac") for clip in clips_of(source)]
        with ProcessPoolExecutor(workers) as pool:
            seconds = list(pool.map(convert, jobs, chunksize=16))
        print(f"{folder}: {np.count_nonzero(seconds)} of {len(jobs)} clips, {sum(seconds) / 3600:.2f} h", flush=True)
