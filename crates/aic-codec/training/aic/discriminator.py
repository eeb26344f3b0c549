"""Multi-resolution spectrogram discriminator (UnivNet, arXiv:2106.07889, §2.3), small enough for a processor: it judges
magnitudes alone, since the phase that the decoder learns is the teacher's and not the original's."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

WINDOWS = (2048, 1024, 512)


class Scale(nn.Module):
    """Judges one spectrogram; gives its verdicts and what it saw on the way."""

    def __init__(self, window: int, channels: int):
        super().__init__()
        self.window = window
        self.register_buffer("hann", torch.hann_window(window), persistent=False)
        conv = lambda i, o, k, s: weight_norm(  # noqa: E731
            nn.Conv2d(i, o, k, stride=(1, s), padding=(k[0] // 2, k[1] // 2))
        )
        self.layers = nn.ModuleList(
            [conv(1, channels, (3, 9), 2)]
            + [conv(channels, channels, (3, 9), 2) for _ in range(3)]
            + [conv(channels, channels, (3, 3), 1)]
        )
        self.verdict = conv(channels, 1, (3, 3), 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        s = torch.stft(x, self.window, self.window // 4, self.window, self.hann, return_complex=True)
        # Compressed as loudness is, or only the loudest harmonics would be looked at.
        h = (s.real**2 + s.imag**2 + 1e-7).pow(0.15).transpose(1, 2)[:, None]
        seen = []
        with torch.autocast(x.device.type, torch.bfloat16):
            for layer in self.layers:
                h = F.leaky_relu(layer(h), 0.1)
                seen.append(h)
            return self.verdict(h).float(), seen


class Discriminator(nn.Module):
    def __init__(self, channels: int = 16):
        super().__init__()
        self.scales = nn.ModuleList(Scale(w, channels) for w in WINDOWS)

    def forward(self, x: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        return [scale(x) for scale in self.scales]


def judge_loss(real, fake) -> Tensor:
    """Least squares (arXiv:1611.04076): real is 1, made is 0."""
    return sum(((r - 1) ** 2).mean() + (f**2).mean() for (r, _), (f, _) in zip(real, fake, strict=True)) / len(real)


def fool_loss(fake) -> Tensor:
    return sum(((f - 1) ** 2).mean() for f, _ in fake) / len(fake)


def feature_loss(real, fake) -> Tensor:
    """L1 between what the judge saw in each, relative to the real one."""
    pairs = [(a, b) for (_, x), (_, y) in zip(real, fake, strict=True) for a, b in zip(x, y, strict=True)]
    return sum((a.detach() - b).abs().float().mean() / a.detach().abs().float().mean() for a, b in pairs) / len(pairs)
