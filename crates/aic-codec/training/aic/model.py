"""AIC-16: a causal MDCT codec network. 16 kHz mono, 20 ms frames, 10 ms of overlap, so 30 ms of algorithmic delay.

Tensors are (batch, time, channels). At 100 Hz time counts MDCT hops, at 50 Hz frames. Every layer looks back only, and
its memory is the last rows of its input: `export.py` makes a state of them.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import HOP, LATENT, STAGES

KERNEL = 5


@dataclass(frozen=True)
class Size:
    """Widths at 100 Hz and at 50 Hz."""

    hop_width: int
    frame_width: int


SIZES = {"s": Size(192, 256), "m": Size(256, 384)}


def mdct_matrix() -> Tensor:
    """320 x 160, the sine window in it: `x @ m` is the MDCT of a windowed block, `c @ m.T` its windowed inverse, and
    blocks overlapped by half add up to the signal (Princen and Bradley, 1987)."""
    n = torch.arange(2 * HOP, dtype=torch.float64)
    k = torch.arange(HOP, dtype=torch.float64)
    window = torch.sin(math.pi * (n + 0.5) / (2 * HOP))
    basis = torch.cos(math.pi / HOP * (n[:, None] + 0.5 + HOP / 2) * (k[None, :] + 0.5))
    return (window[:, None] * basis * math.sqrt(2 / HOP)).float()


def asinh(x: Tensor) -> Tensor:
    """By logarithm: the ONNX exporter knows no asinh. Odd, so computed on the magnitude, where it is exact enough."""
    return torch.sign(x) * torch.log(x.abs() + torch.sqrt(x * x + 1))


def sinh(x: Tensor) -> Tensor:
    return 0.5 * (torch.exp(x) - torch.exp(-x))


class Block(nn.Module):
    """ConvNeXt block (arXiv:2201.03545) looking back: depthwise convolution, LayerNorm, two linear layers, residual."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.dilation = dilation
        self.memory = (KERNEL - 1) * dilation
        self.kernel = nn.Parameter(torch.randn(KERNEL, width) / math.sqrt(KERNEL))
        self.bias = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        nn.init.zeros_(self.down.bias)
        with torch.no_grad():
            self.down.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (0, 0, self.memory, 0))
        n, d = x.shape[1], self.dilation
        h = self.bias
        for tap in range(KERNEL):
            h = h + self.kernel[tap] * padded[:, tap * d : tap * d + n]
        return x + self.down(F.silu(self.up(self.norm(h))))


class Encoder(nn.Module):
    """Samples to latents."""

    def __init__(self, size: Size):
        super().__init__()
        self.register_buffer("mdct", mdct_matrix(), persistent=False)
        self.spread = nn.Linear(2 * HOP, size.hop_width)
        self.hops = nn.ModuleList(Block(size.hop_width, d) for d in (1, 2, 4))
        self.fold = nn.Linear(2 * size.hop_width, size.frame_width)
        self.frames = nn.ModuleList(Block(size.frame_width, d) for d in (1, 2, 4))
        self.out = nn.Linear(size.frame_width, LATENT)

    def analyse(self, blocks: Tensor) -> Tensor:
        """(…, 320) samples to (…, 320) features: the spectrum as it is and companded."""
        c = blocks @ self.mdct
        return torch.cat([3 * c, 0.5 * asinh(100 * c)], -1)

    def forward(self, pcm: Tensor) -> Tensor:
        """(batch, 320 n) samples to (batch, n, 64)."""
        hops = F.pad(pcm, (HOP, 0)).unfold(1, 2 * HOP, HOP)
        x = self.spread(self.analyse(hops))
        for block in self.hops:
            x = block(x)
        x = self.fold(x.reshape(x.shape[0], -1, 2 * x.shape[2]))
        for block in self.frames:
            x = block(x)
        return self.out(x)


class Decoder(nn.Module):
    """Quantised latents to samples, 10 ms late."""

    def __init__(self, size: Size):
        super().__init__()
        self.register_buffer("mdct", mdct_matrix(), persistent=False)
        # What stands for a frame that never came.
        self.lost = nn.Parameter(torch.zeros(LATENT))
        self.spread = nn.Linear(LATENT + 2, size.frame_width)
        self.frames = nn.ModuleList(Block(size.frame_width, d) for d in (1, 2, 4, 1))
        self.unfold = nn.Linear(size.frame_width, 2 * size.hop_width)
        self.hops = nn.ModuleList(Block(size.hop_width, d) for d in (1, 2, 4, 1))
        self.out = nn.Linear(size.hop_width, 2 * HOP)
        with torch.no_grad():
            self.out.weight.mul_(0.3)

    def entry(self, latent: Tensor, share: Tensor) -> Tensor:
        """`share` (…, 1) is the share of the stages that arrived; none means that the frame is lost."""
        lost = (share == 0).to(latent.dtype)
        return self.spread(torch.cat([latent + lost * self.lost, share, lost], -1))

    def spectrum(self, x: Tensor) -> Tensor:
        c, g = self.out(x).float().chunk(2, -1)
        return 0.01 * sinh(c.clamp(-9, 9)) * torch.exp(0.2 * g.clamp(-20, 20))

    def forward(self, latent: Tensor, share: Tensor) -> Tensor:
        """(batch, n, 64) and (batch, n, 1) to the spectra (batch, 2 n, 160)."""
        x = self.entry(latent, share)
        for block in self.frames:
            x = block(x)
        x = self.unfold(x)
        x = x.reshape(x.shape[0], -1, x.shape[2] // 2)
        for block in self.hops:
            x = block(x)
        return self.spectrum(x)

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Spectra (batch, 2 n, 160) to samples (batch, 320 n): block k covers samples 160 (k - 1) … 160 (k + 1), so
        the last 160 samples lack their second half and are left at what is known of them."""
        blocks = spectrum @ self.mdct.T
        late, early = blocks[..., :HOP], blocks[..., HOP:]
        whole = late[:, 1:] + early[:, :-1]
        return torch.cat([whole, early[:, -1:]], 1).flatten(1)


class Codec(nn.Module):
    """Encoder, quantiser and decoder, to be trained together."""

    def __init__(self, size: Size):
        super().__init__()
        self.encoder, self.decoder = Encoder(size), Decoder(size)
        self.codebooks = nn.Parameter(torch.zeros(STAGES, 1024, LATENT))

    def start_from(self, work: Path, size: str) -> None:
        """Takes the averaged weights that the separate stages left in `work`, and the k-means codebooks."""
        for name, part in (("encoder", self.encoder), ("decoder", self.decoder)):
            path = work / f"{name}-{size}.pt"
            if path.exists():
                part.load_state_dict(torch.load(path, map_location="cpu")["average"], strict=False)
        books = work / "codebooks.npy"
        if books.exists():
            self.codebooks.data = torch.from_numpy(np.load(books))
        else:
            # From nothing: each stage a fifth finer than the one before.
            scale = 0.8 ** torch.arange(STAGES, dtype=torch.float32)
            self.codebooks.data = torch.randn(self.codebooks.shape) * 0.5 * scale[:, None, None]

    def quantise(self, latent: Tensor, shown: Tensor, taught: Tensor, warm: int):
        """Greedy search over the stages, then the sum of the `shown` ones. Gradients reach the encoder as if there
        were no search, and the codebooks by what was chosen. Gives the latents for the decoder, the share that
        arrived, the penalty (latents far from their codes, latents far from what the teacher says) and figures."""
        residual, total = latent.detach(), torch.zeros_like(latent)
        sums = [torch.zeros_like(latent)]
        for book in self.codebooks:
            with torch.no_grad():
                flat = residual.reshape(-1, LATENT)
                code = torch.cat([(p @ book.T - 0.5 * (book * book).sum(1)).argmax(1) for p in flat.split(512)])
            chosen = book[code].reshape(latent.shape)
            residual = residual - chosen.detach()
            total = total + chosen
            sums.append(total)
        stacked = torch.stack(sums, 2)
        index = shown[..., None].expand(-1, -1, 1, LATENT)
        z = torch.gather(stacked, 2, index).squeeze(2)
        arrived = (shown > 0).to(latent.dtype)
        z = z + (latent - latent.detach()) * arrived
        power = (latent.detach() if taught is None else taught)[:, warm:].pow(2).mean()
        commit = (latent - total.detach())[:, warm:].pow(2).mean() / power
        books = (latent.detach() - total)[:, warm:].pow(2).mean() / power
        db = lambda v: -10 * math.log10(v.item())  # noqa: E731
        figures, penalty = {"commit_db": db(commit)}, 0.5 * commit + 0.5 * books
        if taught is not None:
            anchor = (latent - taught)[:, warm:].pow(2).mean() / power
            figures["anchor_db"] = db(anchor)
            penalty = penalty + anchor
        return z, shown / STAGES, penalty, figures


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
