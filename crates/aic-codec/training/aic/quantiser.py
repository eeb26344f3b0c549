"""Residual vector quantiser: 12 stages of 1024 vectors in the 64 dimensions of the latent, learned by k-means.

The stages are trained one after the other on what the earlier ones left, so every prefix of a code is the best that
this many stages can say: cutting stages lowers the rate without decoding (SoundStream, arXiv:2107.03312, §III-C).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from . import BITS, LATENT, STAGES


@dataclass
class Codebooks:
    """float32, stages x entries x dimensions."""

    vectors: np.ndarray

    @staticmethod
    def load(path: Path) -> "Codebooks":
        return Codebooks(np.load(path))

    def encode(self, z: np.ndarray) -> np.ndarray:
        """Greedy search: frames x 64 to frames x stages."""
        residual, codes = torch.from_numpy(np.ascontiguousarray(z, np.float32)), []
        for book in torch.from_numpy(self.vectors):
            code = nearest(residual, book)
            residual = residual - book[code]
            codes.append(code)
        return torch.stack(codes, 1).numpy()

    def decode(self, codes: np.ndarray, stages: int = STAGES) -> np.ndarray:
        return sum(self.vectors[s][codes[:, s]] for s in range(stages))


def nearest(x: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
    """Index of the closest vector for each row of `x`."""
    out = [(part @ book.T - 0.5 * (book * book).sum(1)).argmax(1) for part in x.split(512)]
    return torch.cat(out)


def train(work: Path, rounds: int = 20, sample: int = 400_000, seed: int = 0) -> Codebooks:
    """Learns the codebooks from `features.npy` and writes `codebooks.npy`. Prints the signal-to-noise ratio after
    each stage."""
    latents = np.load(work / "features.npy", mmap_mode="r")
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(latents))[:sample])
    residual = torch.from_numpy(latents[rows].astype(np.float32))
    power = residual.pow(2).sum(1).mean().item()
    generator = torch.Generator().manual_seed(seed)
    books = []
    for stage in range(STAGES):
        book = kmeans(residual, 2**BITS, rounds, generator)
        residual = residual - book[nearest(residual, book)]
        books.append(book.numpy())
        left = residual.pow(2).sum(1).mean().item()
        print(f"stage {stage + 1}: {10 * np.log10(power / left):.2f} dB", flush=True)
    codebooks = Codebooks(np.stack(books))
    assert codebooks.vectors.shape == (STAGES, 2**BITS, LATENT)
    np.save(work / "codebooks.npy", codebooks.vectors)
    return codebooks


def kmeans(x: torch.Tensor, k: int, rounds: int, generator: torch.Generator) -> torch.Tensor:
    """Lloyd's algorithm. A vector that nobody chose is put on a random row, so none stays dead."""
    book = x[torch.randint(len(x), (k,), generator=generator)].clone()
    for _ in range(rounds):
        code = nearest(x, book)
        count = torch.bincount(code, minlength=k)
        book = torch.zeros_like(book).index_add_(0, code, x) / count.clamp(min=1)[:, None]
        dead = count == 0
        if dead.any():
            book[dead] = x[torch.randint(len(x), (int(dead.sum()),), generator=generator)]
    return book
