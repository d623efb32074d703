"""What is measured: layers in a short notation.

::

    [name=]HxWxC[,kK][,cC][,sS][,dD][,mM][,pP][,fF][,activation][*times]

Height, width and channels of the input come first. A kernel size `k` makes a depthwise layer, a
number of filters `f` a pointwise one, both a separable block: the depthwise half, then the
pointwise half. With a size `c` the filters are those of a dense convolution. `s` is the stride, `d`
the dilation, `m` the depth multiplier, `p` the padding ("same", "valid", "same_lower" or pixels);
these belong to a size. k, c, s, d and p are one number or HxW; uneven pads are `p0-1x0-1`, from top
to bottom and from left to right. A block has two activations, `relu6/linear`; numbers follow a
colon, as in `leaky_relu:0.2`, `elu:1` and `clip:-1:2.5`, and the slopes of `prelu` are drawn.
`*times` says how often the layer occurs in its network.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import NamedTuple

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

OPS = ("depthwise", "pointwise", "separable", "dense")
ACTIVATIONS = (
    "linear",
    "relu",
    "relu6",
    "hard_sigmoid",
    "hard_swish",
    "sigmoid",
    "swish",
    "tanh",
    "gelu",
    "gelu_tanh",
    "softplus",
    "mish",
    "prelu",
)
_ALIASES = {"silu": "swish", "hard_silu": "hard_swish"}
# As many numbers follow.
FAMILIES = {"leaky_relu": 1, "elu": 1, "clip": 2}
PADDINGS = ("same", "valid", "same_lower")

_SIZES = re.compile(r"(\d+)x(\d+)x(\d+)")
_FIELD = re.compile(r"([kcsdmfp])(.+)")
_NUMBERS = re.compile(r"(\d+)(?:x(\d+))?")
_PADS = re.compile(r"(\d+)(?:-(\d+))?(?:x(\d+)(?:-(\d+))?)?")
_DIGITS = 18
_MOST = 3e38  # of a float32


class Window(NamedTuple):
    """The window of one convolution."""

    size: Pair
    strides: Pair
    dilation: Pair
    pads: Pads
    is_same: bool
    """Whether the pads are those of "same"."""


_PIXEL = Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)), is_same=True)


@dataclass(frozen=True)
class Layer:
    """A depthwise, pointwise, separable or dense layer, without its weights.

    Without a `kernel` (height, width) there is no depthwise half, without `filters` no pointwise
    half. `depthwise_activation` and `activation` belong to the halves. A `dense_kernel` is that of
    the filters of a dense convolution.
    """

    name: str
    height: int
    width: int
    channels: int
    kernel: Pair | None = None
    filters: int | None = None
    depthwise_activation: str = "linear"
    activation: str = "linear"
    strides: Pair = (1, 1)
    dilation: Pair = (1, 1)
    multiplier: int = 1
    padding: str | int | Pads = "same"
    times: int = 1
    dense_kernel: Pair | None = None

    def __post_init__(self) -> None:
        numbers = (
            *(self.height, self.width, self.channels, self.multiplier, self.times),
            *(self.strides + self.dilation + self.size),
            *(() if self.filters is None else (self.filters,)),
        )
        windowless = self.kernel is None and self.dense_kernel is None
        if windowless and (self.strides, self.dilation, self.multiplier, self.padding) != (
            *((1, 1), (1, 1), 1),
            "same",
        ):
            msg = f"layer {self.name!r} has no kernel (k3 or c3), to which s, d, m and p belong"
            raise ValueError(msg)
        if self.dense_kernel and (self.kernel or self.filters is None or self.multiplier > 1):
            msg = f"layer {self.name!r} is dense (c3): it has filters (f64), neither k nor m"
            raise ValueError(msg)
        if min(numbers) < 1 or min(self.output_size) < 1:
            msg = f"layer {self.name!r} has a size below 1, or an empty output"
            raise ValueError(msg)

    @property
    def op(self) -> str:
        if self.dense_kernel:
            return "dense"
        if self.kernel is None:
            return "pointwise"
        return "depthwise" if self.filters is None else "separable"

    @property
    def size(self) -> Pair:
        """Height and width of the window."""
        return self.kernel or self.dense_kernel or (1, 1)

    @property
    def depthwise_window(self) -> Window:
        return Window(self.size, self.strides, self.dilation, self.pads, self.padding == "same")

    @property
    def pointwise_window(self) -> Window:
        """That of the filters: a pixel, unless they are dense."""
        return self.depthwise_window if self.dense_kernel else _PIXEL

    @property
    def pads(self) -> Pads:
        """Rows above and below the image, columns left and right of it."""
        return self._axis_pads(0), self._axis_pads(1)

    def _axis_pads(self, axis: int) -> Pair:
        if self.padding == "valid":
            return 0, 0
        if isinstance(self.padding, int):
            return self.padding, self.padding
        if isinstance(self.padding, tuple):
            return self.padding[axis]
        size, stride = (self.height, self.width)[axis], self.strides[axis]
        total = max((-(-size // stride) - 1) * stride + self._extent(axis) - size, 0)
        less, more = total // 2, total - total // 2
        return (less, more) if self.padding == "same" else (more, less)

    def _extent(self, axis: int) -> int:
        return (self.size[axis] - 1) * self.dilation[axis] + 1

    @property
    def output_size(self) -> Pair:
        """Height and width of the output."""
        height, width = (
            (size + sum(self._axis_pads(axis)) - self._extent(axis)) // self.strides[axis] + 1
            for axis, size in enumerate((self.height, self.width))
        )
        return height, width

    @property
    def depthwise_channels(self) -> int:
        """Channels between the halves."""
        return self.channels * self.multiplier

    @property
    def output_channels(self) -> int:
        return self.depthwise_channels if self.filters is None else self.filters

    @property
    def macs(self) -> int:
        """Multiply-adds for one image; a window at the border counts as a full one."""
        height, width = self.output_size
        taps = self.kernel[0] * self.kernel[1] if self.kernel else 0
        return height * width * self.depthwise_channels * (taps + self._mixing)

    @property
    def _mixing(self) -> int:
        """Weights of the filters for each channel before them."""
        rows, columns = self.dense_kernel or (1, 1)
        return rows * columns * (self.filters or 0)

    @property
    def num_weights(self) -> int:
        taps = self.kernel[0] * self.kernel[1] + 1 if self.kernel else 0
        return self.depthwise_channels * (taps + self._mixing) + (self.filters or 0)

    @property
    def activation_bytes(self) -> int:
        """Input and output of one image."""
        height, width = self.output_size
        inputs = self.height * self.width * self.channels
        return 4 * (inputs + height * width * self.output_channels)

    @property
    def compulsory_bytes(self) -> int:
        """Input, weights and output of one image: what moves even if nothing moves twice."""
        return self.activation_bytes + 4 * self.num_weights

    def has(self, op: str) -> bool:
        """Whether the layer is this operator, or a block with such a half."""
        return op in (self.op, *(OPS[:2] if self.op == "separable" else ()))

    def half(self, op: str) -> Layer:
        """Return the layer itself, or one half of a separable block.

        Raises
        ------
        ValueError
            When the layer has no such half.
        """
        if op == self.op:
            return self
        if not self.has(op):
            msg = f"layer {self} has no {op} half"
            raise ValueError(msg)
        if op == "depthwise":
            return dataclasses.replace(self, filters=None, activation="linear")
        height, width = self.output_size
        return Layer(
            self.name,
            height,
            width,
            self.depthwise_channels,
            filters=self.filters,
            activation=self.activation,
            times=self.times,
        )

    def __str__(self) -> str:
        text = f"{self.height}x{self.width}x{self.channels}"
        if self.kernel or self.dense_kernel:
            text += (",k" if self.kernel else ",c") + _short(self.size)
            text += ",s" + _short(self.strides) if self.strides != (1, 1) else ""
            text += ",d" + _short(self.dilation) if self.dilation != (1, 1) else ""
            text += f",m{self.multiplier}" if self.multiplier > 1 else ""
            text += f",p{_padding_text(self.padding)}" if self.padding != "same" else ""
        text += f",f{self.filters}" if self.filters else ""
        return f"{text},{self.activations}" + (f"*{self.times}" if self.times > 1 else "")

    @property
    def activations(self) -> str:
        if self.op == "separable":
            return f"{self.depthwise_activation}/{self.activation}"
        return self.depthwise_activation if self.op == "depthwise" else self.activation


def parse_layer(notation: str) -> Layer:
    """Read a layer in the notation of this module.

    Raises
    ------
    ValueError
        Naming the part that it cannot read.
    """
    name, _, rest = notation.strip().rpartition("=")
    fields, _, times = rest.partition("*")
    sizes, *options = fields.split(",")
    match = _SIZES.fullmatch(sizes)
    if not match:
        msg = f"{sizes!r} in {notation!r} is not HxWxC, as in 56x56x128,k3,s2,f256,relu6/relu6"
        raise ValueError(msg)
    height, width, channels = map(_number, match.groups())
    values: dict[str, str] = {}
    activations: list[str] = []
    for option in options:
        field = _FIELD.fullmatch(option)
        if all(map(_is_activation, option.split("/"))) and not activations:
            activations = [_ALIASES.get(name, name) for name in option.split("/")]
        elif field and field[1] not in values:
            values[field[1]] = field[2]
        else:
            msg = (
                f"{option!r} in {notation!r} is no field, or stands there twice; activations are "
                "as in relu6/leaky_relu:0.1"
            )
            raise ValueError(msg)
    kernel = _pair(values["k"]) if "k" in values else None
    filters = _number(values["f"]) if "f" in values else None
    first, second = _per_half(activations, notation, has_kernel=kernel is not None, filters=filters)
    return Layer(
        name or "layer",
        height,
        width,
        channels,
        kernel,
        filters,
        first,
        second,
        strides=_pair(values.get("s", "1")),
        dilation=_pair(values.get("d", "1")),
        multiplier=_number(values.get("m", "1")),
        padding=_padding(values.get("p", "same")),
        times=_number(times or "1"),
        dense_kernel=_pair(values["c"]) if "c" in values else None,
    )


def _per_half(
    activations: list[str], notation: str, *, has_kernel: bool, filters: int | None
) -> tuple[str, str]:
    halves = int(has_kernel) + int(filters is not None)
    if not halves:
        msg = f"{notation!r} has neither a kernel size (k3) nor filters (f64)"
        raise ValueError(msg)
    if not activations:
        activations = ["linear"] * halves
    if len(activations) != halves:
        msg = (
            f"{notation!r} has {halves} halves, but {len(activations)} activations; "
            "one for each, as in relu6/leaky_relu:0.1"
        )
        raise ValueError(msg)
    if halves == 2:
        return activations[0], activations[1]
    return (activations[0], "linear") if has_kernel else ("linear", activations[0])


def activation_of(text: str, slopes: object) -> object:
    """An activation in the notation of this module as fastdw takes it; `slopes` are prelu's."""
    name, *numbers = text.split(":")
    if name == "prelu":
        return name, slopes
    return (name, *map(float, numbers)) if numbers else name


def _is_activation(text: str) -> bool:
    name, *numbers = text.split(":")
    if name in (*ACTIVATIONS, *_ALIASES):
        return not numbers
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        return False
    fits = len(values) == FAMILIES.get(name) and all(abs(v) <= _MOST for v in values)
    return fits and values == sorted(values)


def _padding(text: str) -> str | int | Pads:
    if text in PADDINGS:
        return text
    match = _PADS.fullmatch(text)
    if not match:
        msg = f"{text!r} is no padding such as same, 1, 1x2 or 0-1x0-1"
        raise ValueError(msg)
    top = _number(match[1])
    bottom = _number(match[2] or match[1])
    left = _number(match[3]) if match[3] else top
    right = _number(match[4] or match[3]) if match[3] else bottom
    return top if top == bottom == left == right else ((top, bottom), (left, right))


def _padding_text(padding: str | int | Pads) -> str:
    if not isinstance(padding, tuple):
        return str(padding)
    rows, columns = (str(a) if a == b else f"{a}-{b}" for a, b in padding)
    return rows if rows == columns else f"{rows}x{columns}"


def _pair(text: str) -> Pair:
    match = _NUMBERS.fullmatch(text)
    if not match:
        msg = f"{text!r} is neither a number nor HxW"
        raise ValueError(msg)
    return _number(match[1]), _number(match[2] or match[1])


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > _DIGITS:
        msg = f"{text[:_DIGITS]!r} is not a number of up to {_DIGITS} digits"
        raise ValueError(msg)
    return int(text)


def _short(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"
