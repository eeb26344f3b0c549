"""What the decoder is trained to match. All take (batch, samples): what came out, and what should have."""

import torch
from torch import Tensor, nn

from . import SAMPLE_RATE

WINDOWS = (128, 256, 512, 1024, 2048)


def mel(hz: Tensor) -> Tensor:
    """The mel scale of O'Shaughnessy."""
    return 2595 * torch.log10(1 + hz / 700)


def mel_matrix(bins: int, bands: int) -> Tensor:
    """Triangles evenly spaced on the mel scale from 0 Hz to 8 kHz: bins x bands."""
    edges = 700 * (10 ** (torch.linspace(0, mel(torch.tensor(SAMPLE_RATE / 2.0)).item(), bands + 2) / 2595) - 1)
    hz = torch.linspace(0, SAMPLE_RATE / 2, bins)[:, None]
    up = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return torch.clamp(torch.minimum(up, down), min=0)


def magnitude(s: Tensor) -> Tensor:
    return (s.real**2 + s.imag**2 + 1e-9).sqrt()


class Spectral(nn.Module):
    """At each of five windows: L1 of log-mel energies (half again as heavy as the rest), L1 of magnitudes and of complex
    values relative to the target's mean magnitude. The complex part is what ties the phase."""

    LOG_MEL = 1.5

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
            total = total + self.LOG_MEL * log + linear + self.complex_weight * phase
        return total / len(WINDOWS)


def companded(out: Tensor, want: Tensor) -> Tensor:
    """L1 of MDCT spectra whose range is compressed as the encoder sees it."""
    return (torch.asinh(100 * out) - torch.asinh(100 * want)).abs().mean()


def bark(hz: Tensor) -> Tensor:
    """Critical-band rate (Traunmüller 1990)."""
    return 26.81 / (1 + 1960 / hz.clamp(min=1)) - 0.53


class Loudness(nn.Module):
    """How far apart two sounds are to the ear, after P.862 (PESQ) and Beerends & Stemerdink (1994): the difference of
    specific loudness (Zwicker's law) in half-Bark bands and frames of 32 ms. Differences under a quarter of the softer
    loudness are masked. What was added counts more than what is missing: that part is weighted by how much louder the
    band became. 0 is equal; 1 is about one point of opinion."""

    WINDOW, HOP, BANDS, GAMMA = 512, 128, 42, 0.23
    #: Level of the loudest tenth of the frames, dB SPL.
    LISTENING = 79.0

    def __init__(self):
        super().__init__()
        hz = torch.linspace(0, SAMPLE_RATE / 2, self.WINDOW // 2 + 1)
        z, top = bark(hz), bark(torch.tensor(SAMPLE_RATE / 2.0))
        centres = (torch.arange(self.BANDS) + 0.5) * top / self.BANDS
        width = top / self.BANDS
        # Triangles that overlap by half, so that no bin falls between two bands.
        bands = torch.clamp(1 - (z[:, None] - centres).abs() / width, min=0)
        bands[0] = 0
        khz = 1960 / (26.81 / (centres + 0.53) - 1) / 1000
        # Threshold in quiet (Terhardt 1979), dB SPL; below 100 Hz it is held.
        quiet = 3.64 * khz.clamp(min=0.1) ** -0.8 - 6.5 * torch.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4
        self.register_buffer("window", torch.hann_window(self.WINDOW), persistent=False)
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer("quiet", 10 ** (quiet / 10), persistent=False)

    def power(self, x: Tensor) -> Tensor:
        s = torch.stft(x, self.WINDOW, self.HOP, self.WINDOW, self.window, center=False, return_complex=True)
        return (s.real**2 + s.imag**2).transpose(1, 2) @ self.bands

    def specific(self, power: Tensor) -> Tensor:
        """Sone per band, to a factor."""
        gain = 0.1866 * (self.quiet / 0.5) ** self.GAMMA
        return gain * ((0.5 + 0.5 * power / self.quiet) ** self.GAMMA - 1)

    def forward(self, out: Tensor, want: Tensor) -> Tensor:
        made, real = self.power(out), self.power(want)
        frames = real.sum(2)
        loud = frames.quantile(0.9, 1, keepdim=True)
        scale = (10 ** (self.LISTENING / 10) / (loud + 1e-6))[..., None]
        made, real = made * scale, real * scale
        a, b = self.specific(made), self.specific(real)
        apart = torch.relu((a - b).abs() - 0.25 * torch.minimum(a, b).detach())
        added = ((made + 50) / (real + 50)).detach() ** 1.2
        added = torch.where(added < 3, 0.0, added.clamp(max=12))
        # Frames far below speech matter little: nobody hears a codec in the pauses that the room fills.
        heard = (frames * scale[..., 0] / 1e7 + 0.01) ** 0.04
        both = (apart.pow(2).sum(2) + 1e-6).sqrt()
        more = (apart * added).sum(2)
        return ((0.1 * both + 0.0309 * more) / heard).mean()
