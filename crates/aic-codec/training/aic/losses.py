"""What the decoder is trained to match. All take (batch, samples): what came out, and what should have."""

import torch
from torch import Tensor, nn

from . import SAMPLE_RATE

WINDOWS = (128, 256, 512, 1024, 2048)


def mel_matrix(bins: int, bands: int) -> Tensor:
    """Triangles evenly spaced on the mel scale of O'Shaughnessy from 0 Hz to 8 kHz: bins x bands."""
    mel = lambda hz: 2595 * torch.log10(1 + hz / 700)  # noqa: E731
    edges = 700 * (10 ** (torch.linspace(0, mel(torch.tensor(SAMPLE_RATE / 2.0)).item(), bands + 2) / 2595) - 1)
    hz = torch.linspace(0, SAMPLE_RATE / 2, bins)[:, None]
    up = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return torch.clamp(torch.minimum(up, down), min=0)


def magnitude(s: Tensor) -> Tensor:
    return (s.real**2 + s.imag**2 + 1e-9).sqrt()


class Spectral(nn.Module):
    """At each of five windows: L1 of log-mel energies, L1 of magnitudes and of complex values relative to the target's
    mean magnitude. The complex part is what ties the phase."""

    def __init__(self, complex_weight: float = 0.5):
        super().__init__()
        self.complex_weight = complex_weight
        for n in WINDOWS:
            self.register_buffer(f"window_{n}", torch.hann_window(n), persistent=False)
            self.register_buffer(f"mel_{n}", mel_matrix(n // 2 + 1, min(80, n // 8)), persistent=False)

    def spectrum(self, x: Tensor, n: int) -> Tensor:
        s = torch.stft(x, n, n // 4, n, getattr(self, f"window_{n}"), center=False, return_complex=True)
        return s.transpose(1, 2) / n**0.5

    def forward(self, out: Tensor, want: Tensor, energies: Tensor | None = None) -> Tensor:
        """Energies and magnitudes are those of `energies` where it is given, else of `want`."""
        total = out.new_zeros(())
        for n in WINDOWS:
            a, b = self.spectrum(out, n), self.spectrum(want, n)
            am, bm = magnitude(a), magnitude(b)
            em = bm if energies is None else magnitude(self.spectrum(energies, n))
            mel = getattr(self, f"mel_{n}")
            log = (torch.log(am @ mel + 1e-4) - torch.log(em @ mel + 1e-4)).abs().mean()
            # Relative to each utterance's own level, else the loud ones alone are learned.
            scale = 1 / (bm.mean((1, 2), keepdim=True) + 1e-3)
            linear = ((am - em).abs() * scale).mean()
            phase = (magnitude(a - b) * scale).mean()
            total = total + log + linear + self.complex_weight * phase
        return total / len(WINDOWS)


def companded(out: Tensor, want: Tensor) -> Tensor:
    """L1 of MDCT spectra whose range is compressed as the encoder sees it."""
    return (torch.asinh(100 * out) - torch.asinh(100 * want)).abs().mean()
