"""The layers of published networks, of any width and for images of any size.

Stems, classifiers and squeeze-and-excitation are left out: what remains are the separable blocks
and the pointwise layers before and behind them. Strided layers of the Keras networks pad
explicitly and by as much as "same" does, so all is written as "same".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .layers import Layer


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


NETWORKS: dict[str, tuple[Callable[[float, int], Iterator[Layer]], int]] = {
    "mobilenet_v1": (_mobilenet_v1, 224),
    "mobilenet_v2": (_mobilenet_v2, 224),
    "mobilenet_v3_small": (_mobilenet_v3_small, 224),
    "mobilenet_v3_large": (_mobilenet_v3_large, 224),
    "efficientnet_b0": (_efficientnet_b0, 224),
    "xception": (_xception, 299),
    "nasnet_mobile": (_nasnet_mobile, 224),
}
