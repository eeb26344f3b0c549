"""The teacher: Lyra v2 (google/lyra, Apache-2.0) as a function to be learned, run through its TFLite files.

Lyra's encoder turns a frame into 64 features and its decoder turns 64 features into a frame, both with state. Both are
deterministic, so a student can learn them by plain regression, without a GAN.
Nothing of Lyra's weights or of its quantiser enters the model: only pairs of input and output.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from . import FRAME, LATENT
from .augment import COPIES, COPIES_MORE, copy
from .data import SEED, to_int16, utterances
from .quantiser import Codebooks

FILES = ("soundstream_encoder.tflite", "lyragan.tflite")
#: How often the decoder is shown each stage count; 0 is the latent as it is. The rest of the time: any count from 1.
SHOWN = {12: 0.4, 6: 0.2, 3: 0.15, 0: 0.1}


class Net:
    """A TFLite network that keeps its state between frames."""

    def __init__(self, path: Path):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(str(path), num_threads=1)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.output = self.interpreter.get_output_details()[0]

    def run(self, rows: np.ndarray) -> np.ndarray:
        """One call a row, from silence."""
        self.interpreter.reset_all_variables()
        shape, out = self.input["shape"], []
        for row in rows:
            self.interpreter.set_tensor(self.input["index"], row.reshape(shape))
            self.interpreter.invoke()
            out.append(self.interpreter.get_tensor(self.output["index"]).reshape(-1))
        return np.stack(out)


class Teacher:
    """What one process needs to make and teach copies; its children inherit it."""

    def __init__(self, work: Path, lyra: Path):
        self.encoder, self.decoder = (Net(lyra / name) for name in FILES)
        self.clean, self.own = utterances(work)

    def copies(self) -> list[tuple[int, int, str]]:
        """Number of the copy, utterance, kind: the order in which the arrays hold them."""
        kinds = [(n, i, kind) for n, kind in enumerate(COPIES) for i in range(self.own)]
        return kinds + [(n, i, kind) for n, kind in enumerate(COPIES_MORE) for i in range(self.own, len(self.clean))]

    def teach(self, job: tuple[int, int, str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The copy, its features, and the teacher's sound for these."""
        number, utterance, kind = job
        rng = np.random.default_rng((SEED, number, utterance))
        # Through 16 bits before the teacher sees it: what the student will be given.
        y = to_int16(copy(kind, self.clean[utterance], self.clean, rng))
        z = self.encoder.run((y.astype(np.float32) / 32767).reshape(-1, FRAME))
        return y, z.astype(np.float16), to_int16(self.decoder.run(z).reshape(-1))


_teacher: Teacher | None = None


def start(work: Path, lyra: Path) -> None:
    global _teacher
    _teacher = Teacher(work, lyra)


def teach(job: tuple[int, int, str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return _teacher.teach(job)


def features(work: Path, lyra: Path, workers: int) -> None:
    """Augments every utterance and asks the teacher for its features and for the sound of these. Writes `input.npy`
    (int16 samples), `features.npy` (float16, frames x 64), `exact.npy` (int16 samples) and `copies.json` (frames of
    each utterance)."""
    samples, latents, sound = [], [], []
    jobs = Teacher(work, lyra).copies()
    with ProcessPoolExecutor(workers, initializer=start, initargs=(work, lyra)) as pool:
        for number, (y, z, heard) in enumerate(pool.map(teach, jobs, chunksize=8), 1):
            samples.append(y)
            latents.append(z)
            sound.append(heard)
            if number % 1000 == 0:
                print(f"{number} of {len(jobs)} copies", flush=True)
    np.save(work / "input.npy", np.concatenate(samples))
    np.save(work / "features.npy", np.concatenate(latents))
    np.save(work / "exact.npy", np.concatenate(sound))
    (work / "copies.json").write_text(json.dumps([len(z) for z in latents]))


def targets(work: Path, lyra: Path) -> None:
    """Quantises the features with our codebooks, each utterance to one stage count, and asks the teacher's decoder for
    the sound of that: what the decoder stage learns. Writes `codes.npy` (int16, frames x 12), `stages.npy` (int8,
    frames) and `target.npy` (int16 samples)."""
    decoder = Net(lyra / FILES[1])
    books = Codebooks.load(work / "codebooks.npy")
    latents = np.load(work / "features.npy", mmap_mode="r")
    rng = np.random.default_rng(SEED + 1)
    codes, stages, sound, at = [], [], [], 0
    lengths = json.loads((work / "copies.json").read_text())
    for number, n in enumerate(lengths, 1):
        z = latents[at : at + n].astype(np.float32)
        count = int(rng.choice([*SHOWN, -1], p=[*SHOWN.values(), 1 - sum(SHOWN.values())]))
        count = int(rng.integers(1, 12)) if count < 0 else count
        c = books.encode(z)
        shown = z if count == 0 else books.decode(c, count)
        codes.append(c.astype(np.int16))
        stages.append(np.full(n, count, np.int8))
        sound.append(to_int16(decoder.run(shown.astype(np.float32)).reshape(-1)))
        at += n
        if number % 1000 == 0:
            print(f"{number} of {len(lengths)} utterances", flush=True)
    np.save(work / "codes.npy", np.concatenate(codes))
    np.save(work / "stages.npy", np.concatenate(stages))
    np.save(work / "target.npy", np.concatenate(sound))


assert LATENT == 64, "the teacher has 64 features"
