"""The commands, in the order of a full run: gather, prepare, features, quantise, targets, train (encoder, decoder, joint),
export, render, score. `smoke` is all of it in small, without a teacher."""

import argparse
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from . import FRAME, RATES, STAGES, data
from .train import Options, Trainer


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m aic", description=__doc__)
    shared = os.environ.get("AURALINK_TEST_DATA", "../shared/data")
    parser.add_argument("--speech", type=Path, default=Path(shared) / "speech", help="folder of */*.flac")
    parser.add_argument("--work", type=Path, default=Path("target/aic"), help="where arrays and checkpoints go")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes that gather, teach or score")
    commands = parser.add_subparsers(dest="command", required=True)
    further = commands.add_parser("gather", help="further recordings, to 16 kHz")
    further.add_argument("source", type=Path, nargs="+", help="folder in Common Voice's layout, or of MP3 files")
    further.add_argument("--out", type=Path, required=True)
    pack = commands.add_parser("prepare", help="pack the speech, hold speakers out")
    pack.add_argument("--more", type=Path, help="what gather made, all of it to train on")
    for name in ("features", "targets"):
        commands.add_parser(name).add_argument("--lyra", type=Path, required=True, help="Lyra's model_coeffs folder")
    commands.add_parser("quantise", help="learn the codebooks")
    train = commands.add_parser("train", help="one stage; goes on from its checkpoint")
    train.add_argument("stage", choices=("encoder", "decoder", "joint"))
    train.add_argument("--size", choices=("s", "m"), default="m")
    train.add_argument("--steps", type=int, default=20_000)
    train.add_argument("--batch", type=int, default=16)
    train.add_argument("--frames", type=int, default=80)
    train.add_argument("--rate", type=float, default=2e-3)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    train.add_argument("--gan", action="store_true")
    train.add_argument("--anew", action="store_true", help="a new schedule of the rate from the checkpoint on")
    train.add_argument("--no-compile", dest="compile", action="store_false")
    train.add_argument("--no-teacher", dest="teacher", action="store_false", help="joint stage towards the original")
    train.add_argument("--original", action="store_true", help="joint stage towards the original's energies")
    train.add_argument("--loudness", type=float, default=0.0, help="weight of the difference that the ear would hear")
    out = commands.add_parser("export", help="checkpoints to a model folder")
    out.add_argument("--size", choices=("s", "m"), default="m")
    out.add_argument("--id", default="aic16m-1")
    out.add_argument("--out", type=Path, required=True)
    for name in ("render", "score"):
        command = commands.add_parser(name)
        command.add_argument("--folder", type=Path, required=True, help="one sub-folder a condition, WAVs in it")
        command.add_argument("--model", type=Path, help="render: model folder")
        command.add_argument("--clips", type=int, default=40, help="render: held-out clips")
        command.add_argument("--table", type=Path, help="score: CSV that rows are added to")
        command.add_argument("--columns", default="pesq,stoi,visqol,p808,ovrl")
    commands.add_parser("smoke", help="everything in small: fails unless it learns and streams as it should")
    return parser.parse_args()


def export(work: Path, size: str, name: str, out: Path) -> None:
    """The joint checkpoint if there is one, else the separate ones; balanced."""
    from .balance import balance, shortfall
    from .export import export as write
    from .model import SIZES, Codec

    codec = Codec(SIZES[size])
    codec.start_from(work, size)
    joint = work / f"joint-{size}.pt"
    if joint.exists():
        codec.load_state_dict(torch.load(joint, map_location="cpu")["average"], strict=False)
    gain_db = balance(codec, shortfall(codec, work))
    print(f"balanced by {gain_db[:20].mean():.1f} dB below 1 kHz, {gain_db[20:].mean():.1f} dB above")
    write(codec.encoder, codec.decoder, codec.codebooks.detach().numpy(), size, name, out)


def held_out(work: Path, clips: int) -> list[str]:
    """The first clips of a fixed shuffle of the held-out English files."""
    files = [f for f in json.loads((work / "held-out.json").read_text()) if "librispeech" in f]
    return [files[i] for i in np.random.default_rng(data.SEED).permutation(len(files))[:clips]]


def render(work: Path, speech: Path, folder: Path, model: Path, clips: int) -> None:
    """Held-out clips through the exported graphs at each rate, greedy search, for a quick look at a checkpoint."""
    import soundfile

    from .export import Streamed
    from .quantiser import Codebooks

    codec = Streamed(model)
    books = Codebooks(codec.books)
    for name in held_out(work, clips):
        pcm = data.read(speech / name)[: 10 * 16_000]
        pcm = np.pad(pcm, (0, -len(pcm) % FRAME))
        codes = books.encode(codec.latents(pcm))
        made = {"reference": pcm}
        for stages in RATES:
            share = np.full(len(codes), stages / STAGES, np.float32)
            sound = codec.sound(books.decode(codes, stages), share)
            made[f"aic-{stages}"] = np.append(sound[FRAME // 2 :], np.zeros(FRAME // 2, np.float32))
        for condition, samples in made.items():
            path = folder / condition / f"{Path(name).stem}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, 16_000, subtype="PCM_16")


def smoke() -> None:
    """Speech-like sound of its own, a few steps of the joint stage, resumed once, exported, streamed."""
    from .balance import balance, shortfall
    from .export import Streamed
    from .model import SIZES, Codec

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        t = np.arange(FRAME * 400) / 16_000
        pitch = np.cumsum(120 + 40 * np.sin(2 * np.pi * 0.7 * t)) / 16_000
        voice = sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 20))
        sound = 0.1 * voice * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * t)) + 0.003 * rng.standard_normal(len(t))
        np.save(work / "input.npy", data.to_int16(sound))
        (work / "copies.json").write_text("[400]")
        options = Options("joint", "s", steps=10, batch=2, frames=40, compile=False, teacher=False, save_every=10)
        first = Trainer(work, options)
        first.run()
        options.steps = 60
        second = Trainer(work, options)
        second.resume()
        assert second.step == 10, second.step
        second.run()
        losses = [float(line.split(",")[1]) for line in second.log.read_text().splitlines()]
        with torch.no_grad():
            fresh = Trainer(work / "fresh", options) if (work / "fresh").mkdir() is None else None
            fresh_loss, trained_loss = (
                np.mean([t.loss(t.segments(work), np.random.default_rng(k))[0].item() for k in range(3)])
                for t in (fresh, second)
            )
        assert trained_loss < 0.8 * fresh_loss, (fresh_loss, trained_loss, losses)
        judged_steps(work, replace(options, steps=70, gan=True, loudness=3.0, anew=True, judge_alone=3))
        export(work, "s", "smoke-1", work / "model")
        codec, offline = Streamed(work / "model"), Codec(SIZES["s"])
        offline.load_state_dict(torch.load(second.path)["average"], strict=False)
        short = shortfall(offline, work, batches=1)
        gain = balance(offline, short)
        left = shortfall(offline, work, batches=1)
        assert (left - (short - gain)).abs().mean() < 0.5, (short, gain, left)
        pcm = (data.to_int16(sound)[: FRAME * 50] / 32767).astype(np.float32)
        with torch.no_grad():
            whole = offline.encoder(torch.from_numpy(pcm)[None])[0].numpy()
        streamed = codec.latents(pcm)
        # Weights are rounded to 8 bits on the way out, so not to the last digit.
        error = np.abs(whole - streamed).max() / np.abs(whole).max()
        assert error < 0.05, error
        out = codec.sound(streamed, np.ones(50, np.float32))
        assert np.isfinite(out).all() and np.abs(out).max() > 0
    print(f"smoke: loss {fresh_loss:.2f} to {trained_loss:.2f}, streamed within {error:.4f} of offline")


def judged_steps(work: Path, options: Options) -> None:
    """Goes on with the loudness and a discriminator, which must move the codec and itself."""
    trainer = Trainer(work, options)
    trainer.resume()
    before = [p.detach().clone() for part in (trainer.model, trainer.judge) for p in part.parameters()]
    trainer.run()
    after = [p.detach() for part in (trainer.model, trainer.judge) for p in part.parameters()]
    assert trainer.begun == 60 and trainer.judged == 10, (trainer.begun, trainer.judged)
    assert all(torch.isfinite(p).all() for p in after)
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True) if a.numel() > 1000)


def main() -> None:
    a = parse()
    torch.set_num_threads(a.threads)
    if a.command == "gather":
        from .gather import gather

        gather(a.source, a.out, a.workers)
    elif a.command == "prepare":
        data.prepare(a.speech, a.work, a.more)
    elif a.command == "features":
        from . import teacher

        teacher.features(a.work, a.lyra, a.workers)
    elif a.command == "targets":
        from . import teacher

        teacher.targets(a.work, a.lyra)
    elif a.command == "quantise":
        from . import quantiser

        quantiser.train(a.work)
    elif a.command == "train":
        fields = {k: v for k, v in vars(a).items() if k in Options.__dataclass_fields__}
        trainer = Trainer(a.work, Options(**fields))
        trainer.resume()
        trainer.run()
    elif a.command == "export":
        export(a.work, a.size, a.id, a.out)
    elif a.command == "render":
        render(a.work, a.speech, a.folder, a.model, a.clips)
    elif a.command == "score":
        from .evaluate import evaluate, summary

        columns = tuple(a.columns.split(","))
        for condition, values in summary(evaluate(a.folder, a.table, columns, a.workers), columns).items():
            print(condition, "  ".join(f"{k} {m:.3f} ± {e:.3f}" for k, (m, e, _) in values.items()))
    else:
        smoke()


main()
