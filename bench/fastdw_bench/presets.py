"""The layers of published networks.

Stems, classifiers and squeeze-and-excitation are left out: what remains are the separable blocks
and the pointwise layers before and behind them. Strided layers of the Keras networks pad
explicitly and by as much as "same" does, so all is written as "same".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .layers import Layer, parse_layer

# The 32 blocks on which the project compares engines. It stays as it is, whatever the presets do.
_BLOCKS32 = """
    v1_1=112x112x32,k3,f64,relu6/relu6
    v1_2=112x112x64,k3,s2,f128,relu6/relu6
    v1_3=56x56x128,k3,f128,relu6/relu6
    v1_4=56x56x128,k3,s2,f256,relu6/relu6
    v1_5=28x28x256,k3,f256,relu6/relu6
    v1_6=28x28x256,k3,s2,f512,relu6/relu6
    v1_7=14x14x512,k3,f512,relu6/relu6
    v1_12=14x14x512,k3,s2,f1024,relu6/relu6
    v1_13=7x7x1024,k3,f1024,relu6/relu6
    v2_1=112x112x32,k3,f16,relu6/linear
    v2_2=112x112x96,k3,s2,f24,relu6/linear
    v2_3=56x56x144,k3,f24,relu6/linear
    v2_4=56x56x144,k3,s2,f32,relu6/linear
    v2_5=28x28x192,k3,f32,relu6/linear
    v2_7=28x28x192,k3,s2,f64,relu6/linear
    v2_8=14x14x384,k3,f64,relu6/linear
    v2_12=14x14x576,k3,f96,relu6/linear
    v2_14=14x14x576,k3,s2,f160,relu6/linear
    v2_15=7x7x960,k3,f160,relu6/linear
    x_1=147x147x64,k3,f128,linear/relu
    x_2=74x74x128,k3,f256,linear/relu
    x_3=37x37x256,k3,f728,linear/relu
    x_4=19x19x728,k3,f728,linear/relu
    x_14=10x10x1536,k3,f2048,linear/relu
    e_k5_1=56x56x144,k5,s2,f40,swish/linear
    e_k5_2=28x28x240,k5,f40,swish/linear
    e_k5_3=14x14x672,k5,f112,swish/linear
    e_k5_4=7x7x1152,k5,f192,swish/linear
    c_1=32x32x3,k3,f64,linear/relu
    c_2=32x32x64,k3,f64,linear/relu
    c_4=16x16x128,k3,f128,linear/relu
    c_6=8x8x256,k3,f256,linear/relu
"""

# The 14 of these on which 8-bit integers are compared.
_QUANTIZED = """
    v1_1 v1_2 v1_3 v1_5 v1_7 v1_12 v1_13 v2_1 v2_2 v2_3 v2_5 v2_8 v2_12 v2_15
"""

# Six separable layers with a 2×2 pooling after every second one.
_CIFAR = """
    c_1=32x32x3,k3,f64,linear/relu
    c_2=32x32x64,k3,f64,linear/relu
    c_3=16x16x64,k3,f128,linear/relu
    c_4=16x16x128,k3,f128,linear/relu
    c_5=8x8x128,k3,f256,linear/relu
    c_6=8x8x256,k3,f256,linear/relu
"""

# Stems, and the second layer of Xception.
_DENSE = """
    d_1=224x224x3,c3,s2,f32,relu6
    d_2=224x224x3,c3,s2,f16,hard_swish
    d_3=149x149x32,c3,pvalid,f64,relu
    d_4=56x56x64,c3,f64,relu
    d_5=32x32x3,c3,f32,relu
"""

_CORNERS = """
    multiplier=56x56x32,k3,m2,f64,relu6/relu6
    multiplier_rgb=96x96x3,k3,s2,m8,f32,relu/relu
    large_kernel=28x28x96,k7,f96,relu/linear
    large_kernel_s2=56x56x48,k7,s2,f64,linear/relu
    huge_kernel=14x14x192,k13,f192,linear/gelu
    even_kernel=32x32x64,k4,s2,f64,relu/relu
    row_kernel=1x512x64,k1x9,f64,relu/relu
    column_kernel=64x64x48,k5x1,f48,relu/relu
    dilated=33x33x256,k3,d2,f256,relu/relu
    dilated_far=33x33x128,k3,d12,f256,relu/relu
    stride_3=57x57x48,k3,s3,f96,relu/relu
    stride_2x1=40x120x32,k3,s2x1,f64,relu/relu
    valid=30x30x64,k3,pvalid,f64,relu/relu
    same_lower=57x57x64,k3,s2,psame_lower,f64,relu/relu
    wide_pad=20x20x64,k3,p4,f64,relu/relu
    odd_channels=27x27x61,k3,f67,relu6/relu6
    one_channel=128x128x1,k3,f8,relu/relu
    few_channels=224x224x8,k3,f8,hard_swish/linear
    one_pixel=1x1x512,k3,f512,relu/relu
    tiny=4x4x16,k3,f16,relu6/linear
    large_image=448x448x16,k3,f16,relu6/linear
    many_channels=4x4x4096,k3,f256,relu/linear
    gelu=28x28x96,k3,f96,gelu/gelu
    alone_depthwise=56x56x128,k3,relu6
    alone_depthwise_s2=112x112x64,k3,s2,relu6
    alone_pointwise=28x28x64,f384,relu6
    matrix_vector=1x1x1280,f1000,linear
"""

# Depthwise layers on one plane, to be held against the plainest of them, which stands first.
_CORNERS28 = """
    plain=28x28x64,k3
    dilation_2=28x28x64,k3,d2
    multiplier_2=28x28x64,k3,m2
    multiplier_4=28x28x64,k3,m4
    kernel_7x7=28x28x64,k7
    kernel_4x4=28x28x64,k4
    kernel_3x1=28x28x64,k3x1
    channels_11=28x28x11,k3
    channels_22=28x28x22,k3
    channels_44=28x28x44,k3
    channels_50=28x28x50,k3
    channels_100=28x28x100,k3
    channels_184=28x28x184,k3
    stride_1x2=28x28x64,k3,s1x2
    uneven_pads=28x28x64,k3,s2,psame_lower
"""


class _Inverted(NamedTuple):
    """An inverted bottleneck: widen to `hidden` channels, filter each, mix down to `filters`."""

    hidden: int
    filters: int
    kernel: int
    stride: int
    activation: str


def _chain(
    prefix: str, size: int, channels: int, blocks: Iterable[_Inverted], head: tuple[int, str]
) -> Iterator[Layer]:
    for number, block in enumerate(blocks, start=1):
        name = f"{prefix}_{number}"
        if block.hidden != channels:
            yield Layer(
                name + "e",
                size,
                size,
                channels,
                filters=block.hidden,
                activation=block.activation,
            )
        layer = Layer(
            name,
            size,
            size,
            block.hidden,
            (block.kernel, block.kernel),
            block.filters,
            block.activation,
            strides=(block.stride, block.stride),
        )
        yield layer
        size, channels = layer.output_size[0], block.filters
    yield Layer(f"{prefix}_head", size, size, channels, filters=head[0], activation=head[1])


def _scaled(channels: int, width: float) -> int:
    """Round to a multiple of 8, but never down by more than a tenth."""
    target = channels * width
    rounded = max(8, int(target + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * target else rounded


def _halved(size: int) -> int:
    return -(-size // 2)


def _mobilenet_v1(width: float, size: int) -> Iterator[Layer]:
    """Howard et al., arXiv 1704.04861, table 1."""
    size, channels = _halved(size), _scaled(32, width)
    rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
    rows += [(1024, 2), (1024, 1)]
    for number, (filters, stride) in enumerate(rows, start=1):
        layer = Layer(
            f"v1_{number}",
            size,
            size,
            channels,
            (3, 3),
            _scaled(filters, width),
            "relu6",
            "relu6",
            strides=(stride, stride),
        )
        yield layer
        size, channels = layer.output_size[0], layer.output_channels


def _mobilenet_v2(width: float, size: int) -> Iterator[Layer]:
    """Sandler et al., arXiv 1801.04381, table 2: expansion, channels, repeats, first stride."""
    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)]
    rows += [(6, 160, 3, 2), (6, 320, 1, 1)]
    stem = channels = _scaled(32, width)
    blocks = []
    for expansion, filters, repeats, first_stride in rows:
        for stride in (first_stride, *[1] * (repeats - 1)):
            hidden, channels = expansion * channels, _scaled(filters, width)
            blocks.append(_Inverted(hidden, channels, 3, stride, "relu6"))
    head = _scaled(1280, max(1.0, width)), "relu6"
    return _chain("v2", _halved(size), stem, blocks, head)


_V3Row = tuple[int, int, int, str, int]


def _mobilenet_v3(prefix: str, rows: list[_V3Row], width: float, size: int) -> Iterator[Layer]:
    """Howard et al., arXiv 1905.02244: kernel, expansion size, channels, activation, stride."""
    before = 16
    stem = channels = _scaled(before, width)
    blocks = []
    for kernel, expansion, filters, activation, stride in rows:
        # The paper lists sizes at full width; as a ratio they scale with the input of the block.
        hidden = _scaled(channels * expansion, 1 / before) if expansion != before else channels
        before, channels = filters, _scaled(filters, width)
        blocks.append(_Inverted(hidden, channels, kernel, stride, activation))
    return _chain(prefix, _halved(size), stem, blocks, (6 * channels, "hard_swish"))


def _mobilenet_v3_small(width: float, size: int) -> Iterator[Layer]:
    """Table 2."""
    rows = [
        (3, 16, 16, "relu", 2),
        (3, 72, 24, "relu", 2),
        (3, 88, 24, "relu", 1),
        (5, 96, 40, "hard_swish", 2),
        (5, 240, 40, "hard_swish", 1),
        (5, 240, 40, "hard_swish", 1),
        (5, 120, 48, "hard_swish", 1),
        (5, 144, 48, "hard_swish", 1),
        (5, 288, 96, "hard_swish", 2),
        (5, 576, 96, "hard_swish", 1),
        (5, 576, 96, "hard_swish", 1),
    ]
    return _mobilenet_v3("v3s", rows, width, size)


def _mobilenet_v3_large(width: float, size: int) -> Iterator[Layer]:
    """Table 1; kernel 5 and stride 1 in the last two blocks, as in every implementation."""
    rows = [
        (3, 16, 16, "relu", 1),
        (3, 64, 24, "relu", 2),
        (3, 72, 24, "relu", 1),
        (5, 72, 40, "relu", 2),
        (5, 120, 40, "relu", 1),
        (5, 120, 40, "relu", 1),
        (3, 240, 80, "hard_swish", 2),
        (3, 200, 80, "hard_swish", 1),
        (3, 184, 80, "hard_swish", 1),
        (3, 184, 80, "hard_swish", 1),
        (3, 480, 112, "hard_swish", 1),
        (3, 672, 112, "hard_swish", 1),
        (5, 672, 160, "hard_swish", 2),
        (5, 960, 160, "hard_swish", 1),
        (5, 960, 160, "hard_swish", 1),
    ]
    return _mobilenet_v3("v3l", rows, width, size)


def _efficientnet_b0(width: float, size: int) -> Iterator[Layer]:
    """Tan and Le, arXiv 1905.11946, table 1: expansion, kernel, channels, repeats, stride."""
    rows = [(1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2)]
    rows += [(6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1)]
    stem = channels = _scaled(32, width)
    blocks = []
    for expansion, kernel, filters, repeats, first_stride in rows:
        for stride in (first_stride, *[1] * (repeats - 1)):
            hidden, channels = expansion * channels, _scaled(filters, width)
            blocks.append(_Inverted(hidden, channels, kernel, stride, "swish"))
    return _chain("b0", _halved(size), stem, blocks, (_scaled(1280, width), "swish"))


def _xception(width: float, size: int) -> Iterator[Layer]:
    """Chollet, arXiv 1610.02357, figure 5. The ReLU before a layer is counted to the last one."""
    flow: list[list[int]] = [[128, 128], [256, 256], [728, 728], *[[728] * 3] * 8, [728, 1024]]
    size, channels = _halved(size - 2) - 2, _scaled(64, width)
    for number, filters in enumerate([*flow, [1536, 2048]], start=2):
        for position, outputs in enumerate(filters, start=1):
            name = f"x_{number}.{position}"
            yield _separable(name, size, channels, 3, 1, _scaled(outputs, width), "relu")
            channels = _scaled(outputs, width)
        if number in (2, 3, 4, 13):
            size = _halved(size)


def _nasnet_mobile(width: float, size: int) -> Iterator[Layer]:
    """Zoph et al., arXiv 1707.07012, figure 4: NASNet-A (4 @ 1056), each layer applied twice."""
    filters, stem, size = 4 * max(1, round(11 * width)), _scaled(32, width), (size - 1) // 2
    yield from _reduction_cell("n_s1", size, stem, filters // 4, narrow=1)
    yield from _reduction_cell("n_s2", _halved(size), filters // 2, filters // 2, narrow=2)
    size = _halved(_halved(size))
    for stage in range(3):
        channels = filters << stage
        if stage:
            yield from _reduction_cell(f"n_r{stage}", size, channels, channels, narrow=2)
            size = _halved(size)
        for cell in range(4):
            for position, kernel in enumerate((5, 3, 5, 3, 3), start=1):
                name = f"n_{stage + 1}{'abcd'[cell]}{position}"
                yield from _twice(name, size, channels, kernel, 1, channels)


def _reduction_cell(
    name: str, size: int, channels: int, filters: int, narrow: int
) -> Iterator[Layer]:
    # In the first stem cell one of the five inputs has been squeezed already.
    for position, kernel in enumerate((5, 7, 7, 5), start=1):
        inputs = filters if position == narrow == 1 else channels
        yield from _twice(f"{name}.{position}", size, inputs, kernel, 2, filters)
    yield from _twice(f"{name}.5", _halved(size), filters, 3, 1, filters)


def _twice(
    name: str, size: int, channels: int, kernel: int, stride: int, filters: int
) -> Iterator[Layer]:
    first = _separable(name + "i", size, channels, kernel, stride, filters, "relu")
    yield first
    yield _separable(name + "o", first.output_size[0], filters, kernel, 1, filters, "linear")


def _separable(
    name: str, size: int, channels: int, kernel: int, stride: int, filters: int, activation: str
) -> Layer:
    return Layer(
        name,
        size,
        size,
        channels,
        (kernel, kernel),
        filters,
        activation=activation,
        strides=(stride, stride),
    )


_NETWORKS: dict[str, tuple[Callable[[float, int], Iterator[Layer]], int]] = {
    "mobilenet_v1": (_mobilenet_v1, 224),
    "mobilenet_v2": (_mobilenet_v2, 224),
    "mobilenet_v3_small": (_mobilenet_v3_small, 224),
    "mobilenet_v3_large": (_mobilenet_v3_large, 224),
    "efficientnet_b0": (_efficientnet_b0, 224),
    "xception": (_xception, 299),
    "nasnet_mobile": (_nasnet_mobile, 224),
}
_TABLES = {
    "blocks32": _BLOCKS32,
    "quantized": " ".join(
        line for line in _BLOCKS32.split() if line.partition("=")[0] in _QUANTIZED.split()
    ),
    "cifar": _CIFAR,
    "corners": _CORNERS,
    "corners28": _CORNERS28,
    "dense": _DENSE,
}

PRESETS = (*_TABLES, *_NETWORKS)


def preset(name: str, width: float = 1.0, resolution: int | None = None) -> list[Layer]:
    """Return the layers of a preset, equal ones once, with the times that they occur.

    Parameters
    ----------
    name : str
        One of `PRESETS`.
    width : float, default 1
        Factor on the number of channels; networks only.
    resolution : int, optional
        Height and width of the image; networks only. The default is the published one.

    Raises
    ------
    ValueError
        For an unknown name, or a multiplier on a table of fixed sizes.
    """
    if name in _NETWORKS:
        network, published = _NETWORKS[name]
        return _merged(network(width, resolution or published))
    if name not in _TABLES:
        msg = f"preset {name!r} is unknown: {', '.join(PRESETS)}"
        raise ValueError(msg)
    if width != 1 or resolution:
        msg = f"preset {name!r} is a table of fixed sizes: no width or resolution applies"
        raise ValueError(msg)
    return [parse_layer(line) for line in _TABLES[name].split()]


def _merged(layers: Iterable[Layer]) -> list[Layer]:
    first: dict[Layer, Layer] = {}
    for layer in layers:
        key = dataclasses.replace(layer, name="", times=1)
        seen = first.get(key)
        times = seen.times + layer.times if seen else layer.times
        first[key] = dataclasses.replace(seen or layer, times=times)
    return list(first.values())
