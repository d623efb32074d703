"""PyTorch: a frozen TorchScript of the functional calls, channels_last and NCHW."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from ..blocks import F32, Block
from ..blocks8 import Block8, Half, signed, unsigned
from ..layers import Window
from .base import Prepared, Unsupported
from .onnx_model import depthwise_weights, pointwise_weights

NAME = "torch"
PACKAGES = ("torch",)
READS = ()


def prepare(block: Block, threads: int) -> list[Prepared]:
    torch: Any = import_module("torch")
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")
    layouts = {"NHWC": torch.channels_last, "NCHW": torch.contiguous_format}
    return [_prepared(torch, block, name, layout) for name, layout in layouts.items()]


def prepare8(block: Block8, threads: int) -> list[Prepared]:
    torch: Any = import_module("torch")
    torch.set_num_threads(threads)
    # The others, x86 and fbgemm, saturate sums of two products.
    there = torch.backends.quantized.supported_engines
    return [_prepared8(torch, block, name) for name in ("onednn", "qnnpack") if name in there]


def _prepared8(torch: Any, block: Block8, engine: str) -> Prepared:
    """On uint8; the ends of the integers behind a half are those of its ReLU or ReLU6."""
    layer, before = block.layer, torch.backends.quantized.engine
    torch.backends.quantized.engine = engine
    try:
        steps = []
        if half := block.depthwise:
            kernel, window = depthwise_weights(half.kernel), layer.depthwise_window
            steps.append(_packed(torch, half, kernel, window, layer.channels))
        if half := block.pointwise:
            kernel = pointwise_weights(half.kernel)
            steps.append(_packed(torch, half, kernel, layer.pointwise_window, 1))
    finally:
        torch.backends.quantized.engine = before
    pixels = torch.from_numpy(unsigned(block.x)).permute(0, 3, 1, 2)
    q = block.input
    x = torch._make_per_tensor_quantized_tensor(
        pixels.contiguous(memory_format=torch.channels_last), q.scale, q.zero_point + 128
    )
    last: list[Any] = []

    def run() -> None:
        with torch.inference_mode():
            y = x
            for pads, weights, scale, zero_point in steps:
                y = torch.nn.functional.pad(y, pads) if pads else y
                y = torch.ops.quantized.conv2d(y, weights, scale, zero_point)
        last[:] = [y]

    def output() -> npt.NDArray[Any]:
        y = last[0].int_repr().permute(0, 2, 3, 1).contiguous().numpy()
        return signed(y)

    return Prepared(run, output, engine)


def _packed(
    torch: Any, half: Half, kernel: npt.NDArray[Any], window: Window, groups: int
) -> tuple[Any, ...]:
    """Pads that are uneven, weights as an engine has them, and the steps of their result."""
    (top, bottom), (left, right) = window.pads
    even = (top, left) == (bottom, right)
    zeros = torch.zeros(half.scales.size, dtype=torch.int64)
    scales = torch.from_numpy(half.scales.astype(np.float64))
    weights = torch._make_per_channel_quantized_tensor(torch.from_numpy(kernel), scales, zeros, 0)
    bias = torch.from_numpy((half.bias * half.factors.astype(np.float64)).astype(np.float32))
    packed = torch.ops.quantized.conv2d_prepack(
        weights, bias, window.strides, (top, left) if even else (0, 0), window.dilation, groups
    )
    pads = () if even else (left, right, top, bottom)
    return pads, packed, half.output.scale, half.output.zero_point + 128


def _prepared(torch: Any, block: Block, name: str, layout: Any) -> Prepared:
    x = torch.from_numpy(block.x).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    # The passes run in the first calls, so that no timed call pays for them.
    with torch.inference_mode():
        module = _module(torch, block).eval().to(memory_format=layout)
        traced = torch.jit.freeze(torch.jit.trace(module, x, check_trace=False))
        optimised = torch.jit.optimize_for_inference(traced)
        for _ in range(3):
            optimised(x)
    last: list[Any] = []

    def run() -> None:
        with torch.inference_mode():
            last[:] = [optimised(x)]

    def output() -> F32:
        y: F32 = last[0].permute(0, 2, 3, 1).contiguous().numpy()
        return y

    return Prepared(run, output, name)


def _module(torch: Any, block: Block) -> Any:
    layer, nn = block.layer, torch.nn
    steps = []
    if layer.kernel:
        weights = depthwise_weights(block.depthwise_kernel), block.depthwise_bias
        steps += _convolution(torch, layer.depthwise_window, layer.channels, *weights)
        steps += _activation(nn, layer.depthwise_activation)
    if layer.filters:
        steps += _convolution(
            torch, layer.pointwise_window, 1, pointwise_weights(block.pointwise_kernel), block.bias
        )
        steps += _activation(nn, layer.activation)
    return nn.Sequential(*steps)


def _convolution(torch: Any, window: Window, groups: int, weights: F32, bias: F32) -> list[Any]:
    """A convolution, behind a padding of its own where its pads are uneven."""
    nn = torch.nn
    (top, bottom), (left, right) = window.pads
    even = top == bottom and left == right
    filters, channels = weights.shape[:2]
    convolution = nn.Conv2d(
        channels * groups,
        filters,
        window.size,
        window.strides,
        padding=(top, left) if even else 0,
        dilation=window.dilation,
        groups=groups,
    )
    convolution.weight.data = torch.from_numpy(weights)
    convolution.bias.data = torch.from_numpy(np.ascontiguousarray(bias))
    return [*(() if even else (nn.ZeroPad2d((left, right, top, bottom)),)), convolution]


def _activation(nn: Any, name: str) -> list[Any]:
    modules: dict[str, Callable[[], Any]] = {
        "relu": nn.ReLU,
        "relu6": nn.ReLU6,
        "hard_sigmoid": nn.Hardsigmoid,
        "hard_swish": nn.Hardswish,
        "sigmoid": nn.Sigmoid,
        "swish": nn.SiLU,
        "tanh": nn.Tanh,
        "gelu": nn.GELU,
        "gelu_tanh": lambda: nn.GELU("tanh"),
        "softplus": nn.Softplus,
        "mish": nn.Mish,
    }
    if name == "linear":
        return []
    if name not in modules:
        msg = f"no module for {name}"
        raise Unsupported(msg)
    return [modules[name]()]
