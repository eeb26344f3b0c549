"""A person's picture and tone (tests/faces.json), made and recognised.

The same as tests/browser/devices.mjs makes and tests/browser/probe.js recognises, with the same thresholds.
"""

import json
from pathlib import Path

import numpy as np

FACES = json.loads((Path(__file__).parents[2] / "faces.json").read_text())
TONES = np.array(FACES["tones_hz"])
RATE = 48_000
FRAME = RATE // 100
FPS = 15
WIDTH, HEIGHT = 320, 180
ON_MS, PERIOD_MS = 250, 400
BLOCK = 2048


def pictures(face):
    """One second of I420 pictures in the person's colour; only brightness moves."""
    angle = 2 * np.pi * face / len(TONES)
    chroma = [round(128 + FACES["chroma"] * side) for side in (np.cos(angle), np.sin(angle))]
    planes = b"".join(bytes([level]) * (WIDTH // 2 * HEIGHT // 2) for level in chroma)
    dark, bright = FACES["luma"]
    for step in range(FPS):
        row = np.full(WIDTH, dark, np.uint8)
        at = WIDTH * step // FPS
        row[at : at + WIDTH // 4] = bright
        yield row.tobytes() * HEIGHT + planes


def tone(face):
    """Four seconds of the person's tone, on and off, in frames of 10 ms."""
    at = np.arange(4 * RATE)
    ms = at * 1000 / RATE % PERIOD_MS
    loudness = np.clip(np.minimum(ms / 10, (ON_MS - ms) / 10), 0, 1)
    wave = 14_000 * loudness * np.sin(2 * np.pi * TONES[face] * at / RATE)
    return [frame.tobytes() for frame in wave.astype("<i2").reshape(-1, FRAME)]


def whose_colour(luma, u, v):
    turn = (np.arctan2(v, u) / (2 * np.pi) + 1) * len(TONES)
    if abs(turn - round(turn)) < 0.35 and np.hypot(u, v) > FACES["chroma"] / 2:
        return round(turn) % len(TONES)
    return "black" if luma < 24 else "other"


class Entry:
    """What has come out of one track. `got` counts by whose it was."""

    def __init__(self, number, kind, owner, source):
        self.seen = {"id": number, "kind": kind, "track": number, "owner": owner, "source": source, "got": {}}
        self.last = None
        self.samples = np.empty(0, np.float32)

    def got(self, whose):
        counts = self.seen["got"]
        counts[str(whose)] = counts.get(str(whose), 0) + 1

    def look_at(self, frame):
        """Counts an I420 frame that differs from the one before."""
        width, height = frame.width, frame.height
        data = np.frombuffer(frame.data, np.uint8)
        y, chroma = np.split(data, [width * height])
        u, v = np.split(chroma, 2)
        content = hash(y[:: width // 16].tobytes())
        if content == self.last:
            return
        self.last = content
        colour = [y.mean(), u.mean() - 128, v.mean() - 128]
        self.seen |= {"width": width, "height": height, "colour": [round(float(part)) for part in colour]}
        self.got(whose_colour(*colour))

    def hear(self, pcm):
        """Counts blocks with sound in them."""
        new = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        self.samples = np.concatenate([self.samples, new])
        while len(self.samples) >= BLOCK:
            block, self.samples = np.split(self.samples, [BLOCK])
            level_db = 10 * np.log10(np.mean(block**2) + 1e-12)
            self.seen["level_db"] = round(float(level_db))
            if level_db < -50:
                continue
            power = np.abs(np.fft.rfft(block * np.blackman(BLOCK))) ** 2
            peak = int(power.argmax())
            own = power[max(0, peak - 4) : peak + 5].sum()
            self.seen["peak_hz"] = round(peak * RATE / BLOCK)
            off = np.abs(TONES - peak * RATE / BLOCK)
            clear = off.min() < 1.2 * RATE / BLOCK and own > 4 * (power.sum() - own)
            self.got(int(off.argmin()) if clear else "other")
