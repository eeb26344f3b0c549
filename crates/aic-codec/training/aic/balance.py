"""What a trained decoder is too soft by, taken out.

Losses that punish what was added more than what is missing, as ears do, leave a decoder 1 to 3 dB short of energy, most
above 1 kHz. What is usual over many sounds is known, so it can be given back: a gain for each MDCT bin, which is a number
added to the bias of the decoder's last layer and costs a call nothing.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import HOP, SAMPLE_RATE, STAGES
from .losses import mel, mel_matrix
from .model import Codec
from .train import Options, Segments

BANDS, WINDOW, STEP = 40, 512, 160
#: Stages that are listened to: the gain cannot depend on their number, and 6 and 3 kbit/s are what calls use.
SHOWN = (STAGES, STAGES // 2)
#: Nothing is told apart this far below a clip's mean, and windows this far below are pauses, both as `quality_score`
#: has it; bands within 10 dB of the floor say nothing.
FLOOR, PAUSE, CLEAR = 1e-4, 1e-3, 10.0
#: The part of it that is given back: log-mel distances gain most of what they can, and the noise between harmonics, which
#: comes up too, is not heard yet (ViSQOL: -0.02; given back whole, -0.06).
GIVEN = 0.5


def shortfall(codec: Codec, work: Path, batches: int = 6, batch: int = 8, frames: int = 250) -> Tensor:
    """How much softer than the input the output is in each MDCT bin (160), dB: the median over spoken windows of training
    segments (4 minutes by default)."""
    segments = Segments(work, Options("joint", batch=batch, frames=frames, teacher=False))
    rng = np.random.default_rng(0)
    short = []
    with torch.no_grad():
        for _ in range(batches):
            pcm = segments.sound(segments.input, segments.draw(rng))
            latent = codec.encoder(pcm)
            for stages in SHOWN:
                shown = torch.full((*latent.shape[:2], 1), stages)
                z, share, *_ = codec.quantise(latent, shown, None, 0)
                out = codec.decoder.synthesise(codec.decoder(z, share))
                short.append(compare(pcm, out))
    usual = torch.cat(short).nanmedian(0).values.nan_to_num()
    centres = torch.linspace(0, mel(torch.tensor(SAMPLE_RATE / 2)).item(), BANDS + 2)[1:-1]
    bins = mel((torch.arange(HOP) + 0.5) * SAMPLE_RATE / 2 / HOP)
    return torch.from_numpy(np.interp(bins, centres, usual)).float()


def compare(want: Tensor, out: Tensor) -> Tensor:
    """What the mel bands of `out` miss in each spoken window of `want` (windows, bands), dB; NaN where there is little."""
    window, bands = torch.hann_window(WINDOW), mel_matrix(WINDOW // 2 + 1, BANDS)

    def power(x: Tensor) -> Tensor:
        spectrum = torch.stft(x, WINDOW, STEP, WINDOW, window, center=False, return_complex=True)
        return (spectrum.abs() ** 2).transpose(1, 2) @ bands

    a, b = power(want), power(out)
    mean = a.sum(2).mean(1)[:, None, None]
    floor = mean / BANDS * FLOOR
    short = 10 * (torch.log10(torch.maximum(a, floor) + 1e-9) - torch.log10(torch.maximum(b, floor) + 1e-9))
    spoken = a.sum(2) > mean[..., 0] * PAUSE
    return torch.where(a > CLEAR * floor, short, torch.nan)[spoken]


def balance(codec: Codec, short_db: Tensor) -> Tensor:
    """Gives the decoder back half of what it is short of in each bin; the gains, dB."""
    gain_db = (GIVEN * short_db).clamp(-3, 3)
    with torch.no_grad():
        # The network's exponent is a fifth of the layer's output: `Decoder.spectrum`.
        codec.decoder.out.bias[HOP:] += gain_db * math.log(10) / 20 / 0.2
    return gain_db
