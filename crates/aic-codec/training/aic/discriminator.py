"""Multi-scale STFT discriminator (EnCodec, arXiv:2210.13438, §3.4), small: three windows, 16 to 32 channels."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

WINDOWS = (2048, 1024, 512)


class Scale(nn.Module):
    """Judges one STFT, real and imaginary parts as two channels; gives its verdicts and what it saw on the way."""

    def __init__(self, window: int, channels: int):
        super().__init__()
        self.window = window
        self.register_buffer("hann", torch.hann_window(window), persistent=False)
        conv = lambda i, o, k, s, d: weight_norm(  # noqa: E731
            nn.Conv2d(i, o, k, stride=s, dilation=d, padding=((k[0] - 1) * d[0] // 2, (k[1] - 1) * d[1] // 2))
        )
        self.layers = nn.ModuleList(
            [conv(2, channels, (3, 9), (1, 1), (1, 1))]
            + [conv(channels, channels, (3, 9), (1, 2), (d, 1)) for d in (1, 2, 4)]
            + [conv(channels, channels, (3, 3), (1, 1), (1, 1))]
        )
        self.verdict = conv(channels, 1, (3, 3), (1, 1), (1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        s = torch.stft(x, self.window, self.window // 4, self.window, self.hann, return_complex=True)
        h = torch.stack([s.real, s.imag], 1).transpose(2, 3) / self.window**0.5
        seen = []
        for layer in self.layers:
            h = F.leaky_relu(layer(h), 0.2)
            seen.append(h)
        return self.verdict(h), seen


class Discriminator(nn.Module):
    def __init__(self, channels: int = 24):
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
    return sum((a.detach() - b).abs().mean() / a.detach().abs().mean() for a, b in pairs) / len(pairs)
