"""The training loop, in three stages that can each be stopped and resumed:

`encoder`   samples to the teacher's features: mean squared error, no sound involved;
`decoder`   quantised features to the teacher's sound: spectral losses;
`joint`     samples to codes to sound, all parts at once, the gradient passed straight through the search, towards the
            teacher's sound for the features as they are. With `--original` the energies and magnitudes to reach are
            the original's, and only phase is the teacher's; `--loudness` adds what an ear would hear of the
            difference. With `--gan` a discriminator of magnitudes joins in, on a few segments of each batch.
"""

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import FRAME, STAGES
from .discriminator import Discriminator, feature_loss, fool_loss, judge_loss
from .losses import Loudness, Spectral, companded
from .model import SIZES, Codec, Decoder, Encoder, parameters

#: Frames at the start of a segment that warm the memory up and are not judged.
WARM = 16
#: Segments of a batch that the discriminator sees, and samples of each.
JUDGED, JUDGED_SAMPLES = 6, 20_000


@dataclass
class Options:
    stage: str
    size: str = "s"
    steps: int = 20_000
    batch: int = 16
    frames: int = 80
    rate: float = 2e-3
    seed: int = 0
    device: str = "cpu"
    gan: bool = False
    anew: bool = False
    fool: float = 0.5
    #: Steps of the discriminator before the codec listens to it.
    judge_alone: int = 200
    compile: bool = True
    save_every: int = 500
    lost: float = 0.1
    teacher: bool = True
    original: bool = False
    loudness: float = 0.0


class Segments:
    """Random segments of the prepared arrays, never across two utterances."""

    def __init__(self, work: Path, options: Options):
        load = lambda name: np.load(work / name, mmap_mode="r")  # noqa: E731
        self.o = options
        self.input = load("input.npy")
        self.features = load("features.npy") if options.teacher else None
        if options.stage == "decoder":
            self.codes, self.stages, self.target = load("codes.npy"), load("stages.npy"), load("target.npy")
            self.books = torch.from_numpy(np.load(work / "codebooks.npy")).to(options.device)
        if options.stage == "joint":
            # Without a teacher the sound to reach is the original.
            self.target = load("exact.npy") if options.teacher else self.input
        frames = np.array(json.loads((work / "copies.json").read_text()))
        starts = np.cumsum(frames) - frames
        long = frames >= options.frames
        self.starts, self.room = starts[long], frames[long] - options.frames
        self.chance = frames[long] / frames[long].sum()

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        which = rng.choice(len(self.starts), self.o.batch, p=self.chance)
        return self.starts[which] + rng.integers(0, self.room[which] + 1)

    def cut(self, array: np.ndarray, at: np.ndarray, unit: int = 1) -> np.ndarray:
        return np.stack([array[a * unit : (a + self.o.frames) * unit] for a in at])

    def sound(self, array: np.ndarray, at: np.ndarray) -> Tensor:
        return torch.from_numpy(self.cut(array, at, FRAME).astype(np.float32) / 32767).to(self.o.device)

    def taught(self, at: np.ndarray) -> Tensor | None:
        """The teacher's features."""
        if self.features is None:
            return None
        return torch.from_numpy(self.cut(self.features, at).astype(np.float32)).to(self.o.device)

    def latents(self, at: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Quantised latents and the share of stages that arrived, with losses in some segments."""
        count = self.cut(self.stages, at).astype(np.int64)
        full = count == 0
        shown = np.where(full, STAGES, count)
        for row in np.flatnonzero(rng.random(len(at)) < self.o.lost):
            gone = gilbert_elliott(self.o.frames, rng)
            # Half of the frames that go missing come back at three stages, as redundancy brings them.
            shown[row, gone] = np.where(rng.random(gone.sum()) < 0.5, 0, np.minimum(shown[row, gone], 3))
            full[row, gone] = False
        codes = torch.from_numpy(self.cut(self.codes, at).astype(np.int64)).to(self.o.device)
        keep = torch.from_numpy(np.arange(STAGES) < shown[..., None]).to(self.o.device)
        parts = self.books[torch.arange(STAGES, device=codes.device), codes]
        z = (parts * keep[..., None]).sum(2)
        z = torch.where(torch.from_numpy(full).to(z.device)[..., None], self.taught(at), z)
        return z, torch.from_numpy(shown[..., None].astype(np.float32) / STAGES).to(z.device)


    def shown(self, rng: np.random.Generator) -> Tensor:
        """How many stages arrive of each frame (batch, frames, 1), drawn for the joint stage."""
        count = rng.choice([12, 6, 3, -1], (self.o.batch, 1), p=[0.5, 0.27, 0.13, 0.1])
        count = np.where(count < 0, rng.integers(1, 12, (self.o.batch, 1)), count)
        shown = np.repeat(count, self.o.frames, 1)
        for row in np.flatnonzero(rng.random(self.o.batch) < self.o.lost):
            gone = gilbert_elliott(self.o.frames, rng)
            shown[row, gone] = np.where(rng.random(gone.sum()) < 0.5, 0, np.minimum(shown[row, gone], 3))
        return torch.from_numpy(shown[..., None]).to(self.o.device)


def gilbert_elliott(n: int, rng: np.random.Generator) -> np.ndarray:
    """Bursts of two frames on average, one frame in ten (Gilbert 1960)."""
    bad, out = False, np.zeros(n, bool)
    for k in range(n):
        bad = rng.random() < (0.5 if bad else 0.055)
        out[k] = bad
    return out


class Average:
    """Exponential moving average of the weights: what is exported."""

    def __init__(self, module: torch.nn.Module, decay: float = 0.999):
        self.module, self.decay, self.steps = module, decay, 0
        self.weights = {k: v.detach().clone() for k, v in module.state_dict().items()}

    def update(self) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        with torch.no_grad():
            now = self.module.state_dict()
            torch._foreach_lerp_(list(self.weights.values()), [now[k] for k in self.weights], 1 - decay)


def optimizers(module: torch.nn.Module) -> list[torch.optim.Optimizer]:
    """Muon (Jordan 2024) for the matrices, AdamW for the rest. `share` is a group's part of the learning rate."""
    matrices, books, rest = [], [], []
    for name, p in module.named_parameters():
        kind = books if name == "codebooks" else matrices if p.ndim == 2 and not name.endswith("kernel") else rest
        kind.append(p)
    groups = [{"params": rest, "share": 1.0}]
    if books:
        groups.append({"params": books, "share": 0.3})
    return [
        torch.optim.Muon(matrices, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0),
    ]


class Trainer:
    def __init__(self, work: Path, options: Options):
        self.o, self.work = options, work
        torch.manual_seed(options.seed)
        size = SIZES[options.size]
        self.model = {"encoder": Encoder, "decoder": Decoder, "joint": Codec}[options.stage](size)
        if options.stage == "joint":
            self.model.start_from(work, options.size)
        self.model.to(options.device)
        self.average = Average(self.model)
        self.optimizers = optimizers(self.model)
        self.judge = Discriminator().to(options.device) if options.gan else None
        self.judge_optimizer = (
            torch.optim.AdamW(self.judge.parameters(), 3e-4, betas=(0.8, 0.99)) if self.judge else None
        )
        self.spectral = Spectral(1.0).to(options.device)
        self.loudness = Loudness().to(options.device)
        self.step, self.begun, self.judged = 0, 0, 0
        self.path = work / f"{options.stage}-{options.size}.pt"
        self.log = work / f"{options.stage}-{options.size}.csv"
        if options.compile:
            for part in (self.model.encoder, self.model.decoder) if options.stage == "joint" else (self.model,):
                part.compile(dynamic=False)

    def save(self) -> None:
        state = {
            "options": asdict(self.o),
            "step": self.step,
            "begun": self.begun,
            "judged": self.judged,
            "model": self.model.state_dict(),
            "average": self.average.weights,
            "optimizers": [o.state_dict() for o in self.optimizers],
            "judge": self.judge and self.judge.state_dict(),
            "judge_optimizer": self.judge_optimizer and self.judge_optimizer.state_dict(),
        }
        part = self.path.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.path)

    def resume(self) -> None:
        """Goes on where the checkpoint stands; without one, starts."""
        if not self.path.exists():
            return
        state = torch.load(self.path, map_location=self.o.device)
        self.model.load_state_dict(state["model"])
        self.average.weights, self.average.steps = state["average"], state["step"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.begun = state["step"], state.get("begun", 0)
        if self.o.anew:
            self.begun = self.step
        if self.judge and state["judge"]:
            self.judge.load_state_dict(state["judge"])
            self.judge_optimizer.load_state_dict(state["judge_optimizer"])
            self.judged = state["judged"]
        print(f"resumed {self.path} at step {self.step}", flush=True)

    def schedule(self) -> float:
        """Warm-up over 200 steps, then half a cosine down to 2 %, counted from where `--anew` was last given."""
        since = self.step - self.begun
        done = min(since / max(self.o.steps - self.begun, 1), 1)
        return min(1, (since + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))

    def segments(self, work: Path) -> Segments:
        return Segments(work, self.o)

    def run(self) -> None:
        data = self.segments(self.work)
        print(f"{self.o.stage} of size {self.o.size}: {parameters(self.model) / 1e6:.2f} M parameters", flush=True)
        rng = np.random.default_rng((self.o.seed, self.step))
        since, total, parts_sum = time.monotonic(), 0.0, {}
        while self.step < self.o.steps:
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = self.o.rate * self.schedule() * group.get("share", 1.0)
            loss, parts = self.loss(data, rng)
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0 if self.o.stage == "encoder" else 3.0)
            for optimizer in self.optimizers:
                optimizer.step()
            self.average.update()
            self.step += 1
            total += loss.item()
            for name, value in parts.items():
                parts_sum[name] = parts_sum.get(name, 0.0) + value
            every = 50
            if self.step % every == 0:
                spent = time.monotonic() - since
                shown = " ".join(f"{k} {v / every:.4f}" for k, v in parts_sum.items())
                line = f"{self.step},{total / every:.5f},{spent / every:.3f}"
                with self.log.open("a") as log:
                    log.write(line + "\n")
                print(f"step {self.step}: loss {total / every:.4f} {shown} ({spent / every:.2f} s/step)", flush=True)
                since, total, parts_sum = time.monotonic(), 0.0, {}
            if self.step % self.o.save_every == 0 or self.step == self.o.steps:
                self.save()

    def loss(self, data: Segments, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        at = data.draw(rng)
        autocast = torch.autocast(self.o.device, torch.bfloat16)
        if self.o.stage == "encoder":
            want = data.taught(at)
            with autocast:
                out = self.model(data.sound(data.input, at))
            d = (out.float() - want)[:, WARM:]
            error = d.pow(2).mean() / want[:, WARM:].pow(2).mean()
            return error, {"snr_db": -10 * math.log10(error.item())}
        target, parts, extra = data.sound(data.target, at), {}, 0.0
        decoder = self.model
        if self.o.stage == "joint":
            decoder = self.model.decoder
            want = data.taught(at)
            with autocast:
                latent = self.model.encoder(data.sound(data.input, at))
            z, share, extra, parts = self.model.quantise(latent.float(), data.shown(rng), want, WARM)
        else:
            z, share = data.latents(at, rng)
        with autocast:
            spectrum = decoder(z, share)
        spectrum = spectrum.float()
        sound = decoder.synthesise(spectrum)
        # The last half frame lacks its overlap.
        window = slice(WARM * FRAME, -FRAME // 2)
        out, want = sound[:, window], target[:, window]
        energies = data.sound(data.input, at)[:, window] if self.o.original else None
        s = self.spectral(out, want, energies)
        wanted = torch.nn.functional.pad(target, (FRAME // 2, 0)).unfold(1, FRAME, FRAME // 2) @ decoder.mdct
        m = companded(spectrum[:, 2 * WARM :], wanted[:, 2 * WARM :])
        loss = s + 0.3 * m + extra
        parts |= {"spectral": s.item(), "mdct": m.item()}
        if self.o.loudness:
            heard = self.loudness(out, want if energies is None else energies)
            loss = loss + self.o.loudness * heard
            parts["loudness"] = heard.item()
        if self.judge:
            adversarial, figures = self.adversarial(out, want if energies is None else energies, rng)
            loss = loss + adversarial
            parts |= figures
        return loss, parts

    def adversarial(self, out: Tensor, want: Tensor, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        rows = torch.from_numpy(rng.choice(self.o.batch, min(JUDGED, self.o.batch), replace=False)).to(out.device)
        at = int(rng.integers(0, max(out.shape[1] - JUDGED_SAMPLES, 0) + 1))
        out, want = (x[rows, at : at + JUDGED_SAMPLES] for x in (out, want))
        # As loud as each other: the judge is not to learn levels.
        scale = 0.1 / (want.pow(2).mean(1, keepdim=True).sqrt() + 1e-3)
        out, want = out * scale, want * scale
        judged = judge_loss(self.judge(want), self.judge(out.detach()))
        self.judge_optimizer.zero_grad(set_to_none=True)
        judged.backward()
        self.judge_optimizer.step()
        self.judged += 1
        if self.judged <= self.o.judge_alone:
            return out.new_zeros(()), {"judged": judged.item(), "fooled": 0.0, "seen": 0.0}
        self.judge.requires_grad_(False)
        with torch.no_grad():
            real = self.judge(want)
        fake = self.judge(out)
        self.judge.requires_grad_(True)
        fool, seen = fool_loss(fake), feature_loss(real, fake)
        return self.o.fool * fool + 2 * seen, {"judged": judged.item(), "fooled": fool.item(), "seen": seen.item()}

