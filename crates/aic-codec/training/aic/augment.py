"""What telephones do to speech, done to the training copies: level, pace, microphones, noise, babble, hum and rooms."""

import numpy as np
from scipy.signal import fftconvolve, resample_poly

from . import FRAME, SAMPLE_RATE

#: The copies that are made of every utterance of the speech folder, in order. `clean` is the utterance as it is.
COPIES = ("clean", "level", "pace", "pace", "pace", "noise", "noise")
#: And of every further one: their speakers differ enough, and the teacher's time is what copies cost.
COPIES_MORE = ("level", "pace", "noise")


def level(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Up to 15 dB louder or softer, never clipped."""
    peak = float(np.max(np.abs(x))) + 1e-9
    return x * min(10 ** (rng.uniform(-15, 15) / 20), 0.99 / peak)


def pace(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Up to 15 % faster and higher or slower and lower: new voices out of the same speakers."""
    up = int(rng.integers(85, 116))
    return resample_poly(x, up, 100).astype(np.float32)


def colour(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another microphone: a smooth curve of up to ± 6 dB at each of eight points over the frequencies."""
    spectrum = np.fft.rfft(x)
    at = np.linspace(0, 1, len(spectrum))
    gain_db = np.interp(np.sqrt(at), np.linspace(0, 1, 8), rng.uniform(-6, 6, 8))
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(x)).astype(np.float32)


def room(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A room of 0.15 to 0.5 s reverberation: the direct sound, then noise that decays by 60 dB in that time."""
    rt60 = rng.uniform(0.15, 0.5)
    n = int(rt60 * SAMPLE_RATE)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail *= rng.uniform(0.1, 0.5) / np.sqrt(np.sum(tail**2))
    tail[: int(0.005 * SAMPLE_RATE)] = 0
    tail[0] = 1
    return fftconvolve(x, tail)[: len(x)].astype(np.float32)


def background(n: int, others: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """One of: coloured noise, mains hum with harmonics, babble of five other voices."""
    kind = rng.integers(4)
    if kind == 0:
        t = np.arange(n) / SAMPLE_RATE
        return sum(
            np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6.28)) / k for k in range(1, 9)
        ) + 0.2 * rng.standard_normal(n)
    if kind == 1:
        voices = [others[int(i)] for i in rng.integers(len(others), size=5)]
        return sum(np.resize(v, n) / (np.std(v) + 1e-6) for v in voices)
    # Noise whose power falls with frequency by a random exponent: white at 0, brown at 2.
    spectrum = np.fft.rfft(rng.standard_normal(n))
    tilt = np.maximum(np.arange(len(spectrum)), 1.0) ** (-rng.uniform(0, 2) / 2)
    return np.fft.irfft(spectrum * tilt, n)


def noise(x: np.ndarray, others: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Background at 5 to 30 dB below the speech, and in one case of three a room."""
    if rng.random() < 1 / 3:
        x = room(x, rng)
    b = background(len(x), others, rng)
    gain = np.std(x) / (np.std(b) + 1e-9) * 10 ** (-rng.uniform(5, 30) / 20)
    return (x + gain * b).astype(np.float32)


def copy(kind: str, x: np.ndarray, others: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """One training copy of utterance `x`, padded to whole frames."""
    if kind == "pace":
        x = level(colour(pace(x, rng), rng), rng)
    elif kind == "noise":
        x = level(colour(noise(x, others, rng), rng), rng)
    elif kind == "level":
        x = level(x, rng)
    return np.pad(x, (0, -len(x) % FRAME)).astype(np.float32)
