"""Speech on disk to one packed array of 16 kHz samples, split by speaker.

The split is by speaker and fixed by SEED: a speaker who is held out is in no training array, in no copy. Utterances
start on a frame boundary and are padded to one, so that frame k of the features belongs to samples 320 k … 320 k + 319.
"""

import json
from pathlib import Path

import numpy as np
import soundfile

from . import FRAME, SAMPLE_RATE

SEED = 16
#: Speakers of train-clean-100 who are held out, beside all of test-other and one Dutch voice.
HELD_OUT_SPEAKERS = 32
HELD_OUT_SETS = ("librispeech-test-other", "rhasspy-nathalie-nl")
#: Longer utterances are cut: a few long readers would otherwise outweigh everybody else.
LONGEST_S = 16


def speaker_of(path: Path) -> str:
    """LibriSpeech names start with the speaker; the one-voice sets are one speaker; Picovoice names nobody, so each
    of its files counts as a speaker of its own."""
    folder = path.parent.name
    if folder.startswith("librispeech"):
        return f"{folder}/{path.stem.split('-')[0]}"
    return f"{folder}/{path.stem}" if folder.startswith("picovoice") else folder


def split(speech: Path) -> tuple[list[Path], list[Path]]:
    """The training files and the held-out files under `speech`, each sorted."""
    files = sorted(speech.glob("*/*.flac"))
    if not files:
        raise SystemExit(f"no */*.flac under {speech}: set --speech or AURALINK_TEST_DATA")
    clean = sorted({speaker_of(f) for f in files if f.parent.name == "librispeech-train-clean-100"})
    rng = np.random.default_rng(SEED)
    held = set(rng.permutation(clean)[:HELD_OUT_SPEAKERS])
    out = [f for f in files if f.parent.name in HELD_OUT_SETS or speaker_of(f) in held]
    kept = set(out)
    return [f for f in files if f not in kept], out


def read(path: Path) -> np.ndarray:
    """Mono float32 samples of a 16 kHz file, cut to whole frames."""
    samples, rate = soundfile.read(path, dtype="float32")
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise SystemExit(f"{path}: want 16 kHz mono, found {rate} Hz with {samples.ndim} axes")
    samples = samples[: LONGEST_S * SAMPLE_RATE]
    return np.pad(samples, (0, -len(samples) % FRAME))


def prepare(speech: Path, work: Path, more: Path | None = None) -> None:
    """Writes `train.npy` (int16 samples, one utterance after the other), `train.json` (frames of each utterance, and
    how many utterances are of `speech`, the rest being of `more`: a folder that `gather` made) and `held-out.json`
    (paths)."""
    train, held_out = split(speech)
    own = len(train)
    if more:
        train += sorted(more.glob("*/*.flac"))
    work.mkdir(parents=True, exist_ok=True)
    utterances = [read(f) for f in train]
    packed = np.concatenate([to_int16(u) for u in utterances])
    np.save(work / "train.npy", packed)
    (work / "train.json").write_text(json.dumps({"frames": [len(u) // FRAME for u in utterances], "own": own}))
    (work / "held-out.json").write_text(json.dumps([str(f.relative_to(speech)) for f in held_out]))
    print(
        f"{own} utterances to train on by {len({speaker_of(f) for f in train[:own]})} speakers and {len(train) - own} more, "
        f"together {len(packed) / SAMPLE_RATE / 3600:.2f} h; {len(held_out)} held out, "
        f"{len({speaker_of(f) for f in held_out})} speakers"
    )


def to_int16(samples: np.ndarray) -> np.ndarray:
    return np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def utterances(work: Path) -> tuple[list[np.ndarray], int]:
    """The packed training utterances, as float32, and how many of them come from the speech folder itself."""
    packed = np.load(work / "train.npy", mmap_mode="r")
    index = json.loads((work / "train.json").read_text())
    ends = np.cumsum(index["frames"]) * FRAME
    cut = [packed[e - n * FRAME : e].astype(np.float32) / 32767 for e, n in zip(ends, index["frames"], strict=True)]
    return cut, index["own"]
