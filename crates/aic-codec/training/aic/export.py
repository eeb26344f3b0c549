"""The trained network as files: two ONNX graphs with explicit state, the codebooks, a manifest with checksums.

The graphs are written node by node, because their initializers are a format of their own: each linear layer is int8
rows `<name>.q` (inputs x outputs) and float32 scales `<name>.scale` (outputs), joined by Cast and Mul, which ONNX
Runtime folds at load. Whoever has no ONNX Runtime reads the same weights by name.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from . import FRAME, HOP, LATENT
from .model import KERNEL, SIZES, Block, Decoder, Encoder, Size

OPSET = 17


class Graph:
    """A graph under construction: every method adds nodes and gives the name of what they yield."""

    def __init__(self) -> None:
        self.nodes, self.weights, self.count = [], {}, 0

    def op(self, kind: str, *inputs: str, **attributes) -> str:
        self.count += 1
        out = f"{kind.lower()}_{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], name=out, **attributes))
        return out

    def weight(self, name: str, value) -> str:
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def number(self, value: float) -> str:
        return self.weight(f"const.{value}", np.float32(value))

    def linear(self, x: str, name: str, layer: torch.nn.Linear) -> str:
        w = layer.weight.detach().float().T
        scale = w.abs().amax(0).clamp(min=1e-8) / 127
        q = self.weight(f"{name}.weight.q", torch.round(w / scale).to(torch.int8))
        s = self.weight(f"{name}.weight.scale", scale)
        full = self.op("Mul", self.op("Cast", q, to=TensorProto.FLOAT), s)
        return self.op("Add", self.op("MatMul", x, full), self.weight(f"{name}.bias", layer.bias.float()))

    def slice(self, x: str, axis: int, start: int, end: int) -> str:
        i64 = lambda v: self.weight(f"const.i{v}", np.array([v], np.int64))  # noqa: E731
        return self.op("Slice", x, i64(start), i64(end), i64(axis))

    def reshape(self, x: str, *shape: int) -> str:
        name = "const.shape." + "x".join(map(str, shape))
        return self.op("Reshape", x, self.weight(name, np.array(shape, np.int64)))

    def block(self, x: str, past: str, name: str, block: Block, rows: int) -> tuple[str, str]:
        """`x` (1, rows, width) and `past` (1, memory, width) to the same."""
        padded = self.op("Concat", past, x, axis=1)
        kernel = self.weight(f"{name}.kernel", block.kernel.float())
        h = self.weight(f"{name}.bias", block.bias.float())
        for tap in range(KERNEL):
            row = self.slice(kernel, 0, tap, tap + 1)
            at = tap * block.dilation
            h = self.op("Add", h, self.op("Mul", row, self.slice(padded, 1, at, at + rows)))
        h = self.op(
            "LayerNormalization",
            h,
            self.weight(f"{name}.norm.weight", block.norm.weight.float()),
            self.weight(f"{name}.norm.bias", block.norm.bias.float()),
            axis=-1,
            epsilon=block.norm.eps,
        )
        h = self.linear(h, f"{name}.up", block.up)
        h = self.linear(self.op("Mul", h, self.op("Sigmoid", h)), f"{name}.down", block.down)
        return self.op("Add", x, h), self.slice(padded, 1, rows, rows + block.memory)

    def blocks(self, x: str, state: "State", name: str, blocks, width: int, rows: int) -> str:
        for i, block in enumerate(blocks):
            past = self.reshape(state.take(block.memory * width), 1, block.memory, width)
            x, past = self.block(x, past, f"{name}.{i}", block, rows)
            state.give(self.reshape(past, 1, block.memory * width))
        return x

    def save(self, path: Path, inputs: dict, outputs: dict, renames: dict) -> None:
        for name, made in renames.items():
            self.nodes.append(helper.make_node("Identity", [made], [name], name=name))
        value = lambda n, s: helper.make_tensor_value_info(n, TensorProto.FLOAT, s)  # noqa: E731
        graph = helper.make_graph(
            self.nodes,
            path.stem,
            [value(n, s) for n, s in inputs.items()],
            [value(n, s) for n, s in outputs.items()],
            list(self.weights.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))


class State:
    """The flat state, taken apart in order and put together again in the same order."""

    def __init__(self, graph: Graph):
        self.graph, self.at, self.parts = graph, 0, []

    def take(self, n: int) -> str:
        self.at += n
        return self.graph.slice("state", 1, self.at - n, self.at)

    def give(self, part: str) -> None:
        self.parts.append(part)

    def joined(self) -> str:
        return self.graph.op("Concat", *self.parts, axis=1)


def encoder_graph(encoder: Encoder, size: Size, path: Path) -> int:
    g = Graph()
    state = State(g)
    whole = g.op("Concat", state.take(HOP), "pcm", axis=1)
    state.give(g.slice(whole, 1, FRAME, FRAME + HOP))
    hops = g.op(
        "Concat",
        g.reshape(g.slice(whole, 1, 0, FRAME), 1, 1, FRAME),
        g.reshape(g.slice(whole, 1, HOP, HOP + FRAME), 1, 1, FRAME),
        axis=1,
    )
    c = g.op("MatMul", hops, g.weight("mdct", encoder.mdct))
    y = g.op("Mul", c, g.number(100.0))
    root = g.op("Sqrt", g.op("Add", g.op("Mul", y, y), g.number(1.0)))
    companded = g.op("Mul", g.op("Sign", y), g.op("Log", g.op("Add", g.op("Abs", y), root)))
    x = g.op("Concat", g.op("Mul", c, g.number(3.0)), g.op("Mul", companded, g.number(0.5)), axis=2)
    x = g.linear(x, "spread", encoder.spread)
    x = g.blocks(x, state, "hops", encoder.hops, size.hop_width, 2)
    x = g.linear(g.reshape(x, 1, 1, 2 * size.hop_width), "fold", encoder.fold)
    x = g.blocks(x, state, "frames", encoder.frames, size.frame_width, 1)
    latent = g.reshape(g.linear(x, "out", encoder.out), 1, LATENT)
    shapes = {"pcm": [1, FRAME], "state": [1, state.at]}
    g.save(
        path,
        shapes,
        {"latent": [1, LATENT], "state_out": [1, state.at]},
        {"latent": latent, "state_out": state.joined()},
    )
    return state.at


def decoder_graph(decoder: Decoder, size: Size, path: Path) -> int:
    g = Graph()
    state = State(g)
    lost = g.op("Cast", g.op("Equal", "share", g.number(0.0)), to=TensorProto.FLOAT)
    given = g.op("Add", "latent", g.op("Mul", lost, g.weight("lost", decoder.lost.float())))
    x = g.reshape(g.op("Concat", given, "share", lost, axis=1), 1, 1, LATENT + 2)
    x = g.linear(x, "spread", decoder.spread)
    x = g.blocks(x, state, "frames", decoder.frames, size.frame_width, 1)
    x = g.reshape(g.linear(x, "unfold", decoder.unfold), 1, 2, size.hop_width)
    x = g.blocks(x, state, "hops", decoder.hops, size.hop_width, 2)
    x = g.linear(x, "out", decoder.out)
    c = g.op("Clip", g.slice(x, 2, 0, HOP), g.number(-9.0), g.number(9.0))
    gain = g.op("Clip", g.slice(x, 2, HOP, 2 * HOP), g.number(-20.0), g.number(20.0))
    sinh = g.op("Sub", g.op("Exp", c), g.op("Exp", g.op("Neg", c)))
    spectrum = g.op("Mul", g.op("Mul", sinh, g.number(0.005)), g.op("Exp", g.op("Mul", gain, g.number(0.2))))
    blocks = g.op("MatMul", spectrum, g.op("Transpose", g.weight("mdct", decoder.mdct), perm=[1, 0]))
    first, second = (g.reshape(g.slice(blocks, 1, k, k + 1), 1, FRAME) for k in (0, 1))
    # Block k's first half completes what block k - 1 left over.
    tail = state.take(HOP)
    early = g.op("Add", tail, g.slice(first, 1, 0, HOP))
    late = g.op("Add", g.slice(first, 1, HOP, FRAME), g.slice(second, 1, 0, HOP))
    state.give(g.slice(second, 1, HOP, FRAME))
    pcm = g.op("Concat", early, late, axis=1)
    g.save(
        path,
        {"latent": [1, LATENT], "share": [1, 1], "state": [1, state.at]},
        {"pcm": [1, FRAME], "state_out": [1, state.at]},
        {"pcm": pcm, "state_out": state.joined()},
    )
    return state.at


def export(encoder: Encoder, decoder: Decoder, codebooks: np.ndarray, size: str, name: str, out: Path) -> None:
    """Writes the model folder that the codec loads. `name` is the identity that peers compare."""
    out.mkdir(parents=True, exist_ok=True)
    encoder_state = encoder_graph(encoder, SIZES[size], out / "encoder.onnx")
    decoder_state = decoder_graph(decoder, SIZES[size], out / "decoder.onnx")
    (out / "codebooks.f16").write_bytes(codebooks.astype("<f2").tobytes())
    files = ("encoder.onnx", "decoder.onnx", "codebooks.f16")
    manifest = {
        "id": name,
        "format": 1,
        "size": size,
        "hop_width": SIZES[size].hop_width,
        "frame_width": SIZES[size].frame_width,
        "encoder_state": encoder_state,
        "decoder_state": decoder_state,
        "files": {f: hashlib.sha256((out / f).read_bytes()).hexdigest() for f in files},
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    total = sum((out / f).stat().st_size for f in files)
    print(f"{out}: {total / 1e6:.2f} MB")


class Streamed:
    """The exported graphs in ONNX Runtime, a frame at a time, as a call runs them."""

    def __init__(self, folder: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = lambda f: onnxruntime.InferenceSession(str(folder / f), options)  # noqa: E731
        self.encoder, self.decoder = session("encoder.onnx"), session("decoder.onnx")
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.books = np.frombuffer((folder / "codebooks.f16").read_bytes(), "<f2").astype(np.float32)
        self.books = self.books.reshape(12, 1024, LATENT)

    def latents(self, pcm: np.ndarray) -> np.ndarray:
        state, out = np.zeros((1, self.manifest["encoder_state"]), np.float32), []
        for frame in pcm.reshape(-1, 1, FRAME):
            latent, state = self.encoder.run(None, {"pcm": frame, "state": state})
            out.append(latent[0])
        return np.stack(out)

    def sound(self, latents: np.ndarray, share: np.ndarray) -> np.ndarray:
        state, out = np.zeros((1, self.manifest["decoder_state"]), np.float32), []
        for z, s in zip(latents, share, strict=True):
            feed = {"latent": z[None].astype(np.float32), "share": np.array([[s]], np.float32), "state": state}
            pcm, state = self.decoder.run(None, feed)
            out.append(pcm[0])
        return np.concatenate(out)
