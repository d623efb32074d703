"""ncnn: a network of one or two layers in its text and binary formats, float32 throughout.

The input is given planar, and packed into each of the vector widths that ncnn has; it takes the
one of its CPU without a conversion. A whole network comes from pnnx, ncnn's converter.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from importlib import import_module, util
from pathlib import Path
from typing import Any

import numpy as np

from ..blocks import F32, Block
from ..blocks8 import Block8
from ..layers import Window
from .base import Model, Prepared, Session, Unsupported
from .onnx_model import depthwise_weights, pointwise_weights
from .onnxruntime import planar

NAME = "ncnn"
PACKAGES = ("ncnn",)
READS = (".onnx",)

_MAGIC = 7767517
_PACKS = (16, 8, 4, 1)

# Parameters of a convolution that fuse an activation into it: 9 is its kind, 10 its numbers.
_FUSED = {
    "linear": "",
    "relu": "9=1",
    "relu6": "9=3 -23310=2,0.0,6.0",
    "sigmoid": "9=4",
    "hard_swish": "9=6 -23310=2,0.166666667,0.5",
}
_LAYERS = {
    "swish": "Swish",
    "tanh": "TanH",
    "gelu": "GELU",
    "hard_sigmoid": "HardSigmoid 0=0.166666667 1=0.5",
}


def prepare(block: Block, threads: int) -> list[Prepared]:
    if len(block.x) > 1:
        msg = "one image a call"
        raise Unsupported(msg)
    ncnn: Any = import_module("ncnn")
    with tempfile.TemporaryDirectory() as folder:
        text, weights = Path(folder) / "block.param", Path(folder) / "block.bin"
        text.write_text(_param(block))
        weights.write_bytes(_bin(block))
        net, allocators = _loaded(ncnn, text, weights, threads)
    packs = [pack for pack in _PACKS if block.layer.channels % pack == 0]
    image = planar(block.x)[0]
    sessions = {pack: _Session(ncnn, net, allocators, {"x": image}, ["y"], pack) for pack in packs}
    return [Prepared(s.run, s.channels_last, f"pack {pack}") for pack, s in sessions.items()]


def prepare8(block: Block8, threads: int) -> list[Prepared]:
    del block, threads
    msg = "its 8-bit weights come from its own calibration"
    raise Unsupported(msg)


def read(model: Model, threads: int) -> Session:
    ncnn: Any = import_module("ncnn")
    found = util.find_spec("pnnx")
    if found is None or not found.submodule_search_locations:
        msg = "its converter is missing: pip install pnnx"
        raise Unsupported(msg)
    with tempfile.TemporaryDirectory() as folder:
        # It writes a dozen of files beside the model.
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.path.read_bytes())
        shapes = ",".join(str(list(x.shape)).replace(" ", "") for x in model.inputs.values())
        converter = Path(found.submodule_search_locations[0], "pnnx")
        subprocess.run([converter, path, f"inputshape={shapes}", "fp16=0"], cwd=folder, check=False)
        files = Path(folder) / "model.ncnn.param", Path(folder) / "model.ncnn.bin"
        if not all(file.exists() for file in files):
            msg = "its converter refuses the file"
            raise Unsupported(msg)
        net, allocators = _loaded(ncnn, *files, threads)
    images = {f"in{i}": x[0] for i, x in enumerate(model.inputs.values())}
    names = [f"out{i}" for i in range(len(model.outputs))]
    session = _Session(ncnn, net, allocators, images, names)
    return Session(session.run, session.outputs)


def _loaded(ncnn: Any, text: Path, weights: Path, threads: int) -> tuple[Any, object]:
    """A net, and what must outlive its memory."""
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    net.opt.use_packing_layout = True
    for option in (
        *("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"),
        *("use_bf16_packed", "use_bf16_storage", "use_int8_inference"),
    ):
        setattr(net.opt, option, False)
    net.opt.blob_allocator = blob_allocator = ncnn.PoolAllocator()
    net.opt.workspace_allocator = workspace_allocator = ncnn.PoolAllocator()
    if net.load_param(str(text)) or net.load_model(str(weights)):
        msg = "ncnn refuses the network"
        raise RuntimeError(msg)
    return net, (blob_allocator, workspace_allocator)


class _Session:
    """A net bound to images. Attributes die in their order, the allocators after their memory."""

    def __init__(
        self,
        ncnn: Any,
        net: Any,
        allocators: object,
        images: Mapping[str, F32],
        outputs: list[str],
        pack: int = 1,
    ) -> None:
        self._last: list[Any] = []
        # A Mat that is made from an array points to it, and a first layer that works in place would
        # write there; its clone has memory of its own.
        self._inputs = {name: ncnn.Mat(image).clone() for name, image in images.items()}
        if pack > 1:
            self._inputs = {n: ncnn.convert_packing(mat, pack) for n, mat in self._inputs.items()}
        self._outputs = outputs
        self._ncnn, self._net, self._keep = ncnn, net, (images, allocators)

    def run(self) -> None:
        extractor = self._net.create_extractor()
        for name, mat in self._inputs.items():
            extractor.input(name, mat)
        # Type 1 leaves the result packed.
        self._last = [extractor.extract(name, 1)[1] for name in self._outputs]

    def outputs(self) -> list[F32]:
        return [np.array(self._ncnn.convert_packing(mat, 1))[None] for mat in self._last]

    def channels_last(self) -> F32:
        return self.outputs()[0].transpose(0, 2, 3, 1)


def _param(block: Block) -> str:
    layer = block.layer
    lines = ["Input input 0 1 x"]
    if layer.kernel:
        numbers = _numbers(layer.depthwise_window, block.depthwise_kernel)
        numbers |= {0: layer.depthwise_channels, 7: layer.channels}
        _add(lines, "ConvolutionDepthWise", numbers, layer.depthwise_activation)
    if layer.filters:
        numbers = {0: layer.filters, **_numbers(layer.pointwise_window, block.pointwise_kernel)}
        _add(lines, "Convolution", numbers, layer.activation)
    lines[-1] = lines[-1].replace(f" v{len(lines) - 1}", " y")
    return "\n".join([str(_MAGIC), f"{len(lines)} {len(lines)}", *lines]) + "\n"


def _numbers(window: Window, kernel: F32) -> dict[int, int]:
    (top, bottom), (left, right) = window.pads
    return {
        **{1: window.size[1], 11: window.size[0]},
        **{2: window.dilation[1], 12: window.dilation[0]},
        **{3: window.strides[1], 13: window.strides[0]},
        **{4: left, 15: right, 14: top, 16: bottom},
        **{5: 1, 6: kernel.size},
    }


def _add(lines: list[str], kind: str, numbers: dict[int, int], activation: str) -> None:
    parameters = " ".join(f"{key}={value}" for key, value in numbers.items())
    _add_layer(lines, f"{kind} {parameters} {_FUSED.get(activation, '')}")
    if activation in _LAYERS:
        _add_layer(lines, _LAYERS[activation])
    elif activation not in _FUSED:
        msg = f"no layer for {activation}"
        raise Unsupported(msg)


def _add_layer(lines: list[str], layer: str) -> None:
    """Append a layer that reads the blob before it."""
    kind, _, parameters = layer.partition(" ")
    number = len(lines)
    before = f"v{number - 1}" if number > 1 else "x"
    lines.append(f"{kind} l{number} 1 1 {before} v{number} {parameters}".rstrip())


def _bin(block: Block) -> bytes:
    """Kernels, each behind a zero that says float32, and biases."""
    parts: list[bytes] = []
    if block.layer.kernel:
        parts += [
            bytes(4),
            depthwise_weights(block.depthwise_kernel).tobytes(),
            block.depthwise_bias.tobytes(),
        ]
    if block.layer.filters:
        parts += [
            bytes(4),
            pointwise_weights(block.pointwise_kernel).tobytes(),
            block.bias.tobytes(),
        ]
    return b"".join(parts)
