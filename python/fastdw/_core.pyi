"""The compiled half of fastdw: prepared weights, and the operators on plain numbers.

Nothing here explains an error to a user. `_arguments.py` has checked every argument before it
arrives; what is wrong all the same raises ValueError with a bare message, and never crashes.

Arrays are float32 and aligned. `x`, `out` and `residual` of `Operator.run` are always 4-D in the
axis order (n, h, w, c), of whatever strides: an NCHW array comes as its transposed view. Where the
channels of `x` lie side by side it is read in place; any other layout, and any `pre_activation`,
goes through a patch in cache. `out` has no overlap with anything.
"""

from collections.abc import Callable
from typing import Any, final

import numpy as np
import numpy.typing as npt

_F32 = npt.NDArray[np.float32]
_Floats = _F32 | npt.NDArray[np.float64]
_Bits = npt.NDArray[np.uint16]
_Array = _F32 | npt.NDArray[np.uint8] | npt.NDArray[np.int8]

curves: tuple[str, ...]
"""Names that `Activation` takes besides "clamp"."""

@final
class Activation:
    """An activation as numbers.

    curve "clamp": min(max(v, a), b), with infinities for an open side. "leaky_relu": a is the
    slope. "elu": a is alpha. "prelu": `slopes`, one a channel. Every other curve takes no number.
    """

    def __init__(
        self, curve: str, a: float = ..., b: float = ..., slopes: _F32 | None = None
    ) -> None: ...

@final
class Depthwise:
    """Packed depthwise weights for one instruction set: kernel (kh, kw, C, m), bias (C·m,)."""

    def __init__(
        self,
        kernel: _F32,
        bias: _F32 | None,
        activation: Activation,
        isa: str | None = None,
        kernel_name: str | None = None,
        fused: bool = False,
    ) -> None:
        """`isa` None is the active one. `kernel_name` forces one entry of `kernels(isa)`.

        `fused` packs for the separable operator alone; any other packing serves it too.
        """
    @property
    def nbytes(self) -> int: ...
    @property
    def isa(self) -> str: ...
    def weights(self) -> tuple[_F32, _F32]:
        """Kernel (kh, kw, C, m) and bias (C·m,), bit for bit as given; no bias means zeros."""

@final
class Store:
    """Memory for the weights of many: as many floats as are given, one object's after another."""

    def __init__(self, count: int) -> None: ...

@final
class Pointwise:
    """Packed pointwise weights for one instruction set: kernel (Cin, F), bias (F,)."""

    def __init__(
        self,
        kernel: _F32,
        bias: _F32 | None,
        activation: Activation,
        isa: str | None = None,
        store: Store | None = None,
    ) -> None: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def isa(self) -> str: ...
    def weights(self) -> tuple[_F32, _F32]: ...

Geometry = tuple[int, int, int, int, int, int]
"""(stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left).

On an axis of one output the stride is given as 1, on an axis of one tap the dilation: neither
matters there, and no product can then overflow. Rows and columns past the image count as 0.
"""

@final
class Operator:
    """What a layer computes: depthwise, pointwise, or the one after the other; perhaps an expanding
    pointwise convolution before them."""

    def __init__(
        self,
        depthwise: Depthwise | None,
        pointwise: Pointwise | tuple[Pointwise, ...] | None,
        pre_activation: Activation | None = None,
        channels_first: bool = False,
        kernel_size: tuple[int, int] = (1, 1),
        expand: Pointwise | None = None,
    ) -> None:
        """Pointwise alone with a `kernel_size` is a dense convolution, its kernel
        (kh·kw·Cin, F). Several pointwise parts are its groups. With `expand` the channels of all
        arrays lie side by side.
        """
    def run(
        self, x: _F32, residual: _F32 | None, out: _F32, geometry: Geometry, num_threads: int
    ) -> None: ...
    def run_halves(
        self,
        x: _Bits,
        residual: _Bits | None,
        out: _Bits,
        geometry: Geometry,
        num_threads: int,
    ) -> None:
        """The same on float16, given as its bits: bands of rows become floats in cache, and the
        results halves."""
    def plan_halves(
        self,
        x_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        geometry: Geometry,
        num_threads: int,
    ) -> str: ...
    def remember(
        self, x_shape: tuple[int, ...], out_shape: tuple[int, ...], geometry: Geometry
    ) -> None:
        """Keep the shapes of a call that has passed every check, in the layer's own layout.

        Those of four calls are kept; a fifth takes the place of the oldest.
        """
    def plan(
        self,
        x_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        geometry: Geometry,
        num_threads: int,
    ) -> dict[str, Any]:
        """What a call with contiguous arrays of these shapes, in the layer's own layout, would do.

        text; threads; nanoseconds of one core, from the rates of the data sheet; scratch_floats a
        thread; panel_shares; plane (images, rows, columns), where rows or images that follow each
        other in every array count as one row; tasks, each (image, row, rows, column, columns,
        channel, channels, panel share).
        """
    @property
    def replay(self) -> Callable[[object, object, object, object], _F32 | None]:
        """`replay(x, residual, out, num_threads)` with the layer's own arguments.

        The result, if the call is like one of those remembered: arrays of just these shapes, plain,
        C-contiguous, and apart. None, and nothing touched, for any other.
        """

Array = tuple[int, int, tuple[int, ...], tuple[int, ...]]
"""Where a step finds an array: (buffer, offset, sizes, strides), in elements, one to six axes.

Buffer 0 is the arena, then come the inputs and the outputs, one image of each; the last two are the
arena as bytes and as halves. Strides are at least 0, and no two elements lie at one place, but for
the second term of a pair: its strides of rows and columns may be 0, so that one pixel serves for
all.
"""

Step = tuple[str, tuple[Array | None, ...], dict[str, Any]]
"""(kind, (out, x) or (out, x, second), settings). Arrays are images (h, w, c) with channels side by
side, but for those of "layer", whose channels may lie anywhere, and of "copy".

"layer"        second: the residual or None. depthwise, pointwise, pre_activation: at least one of
               the first two; geometry; without depthwise also kernel_size, (kh, kw) of a dense
               convolution, whose pointwise weights have kh·kw·c inputs. expand: weights of a
               pointwise convolution before the depthwise one. Then x and out have their channels
               side by side, as with two more arrays: scale (1, 1, c), by which a pointwise
               convolution multiplies x first; sums (h, 1, c), which takes for each row of a
               depthwise result the sum over its columns
"layer16"      the same on halves alone. depthwise, pointwise, expand: packed for sums of float16;
               kernel_size, geometry
"copy"         any axes, x of the same sizes; from bytes to bytes or floats too, from floats to
               halves and back
"add", "multiply", "divide", "maximum", "minimum"  second: the other term. activation
"affine"       scale, offset: float32, one a channel; activation
"activation"   activation
"pool"         function "max" | "average", window, strides, dilation (height, width), padding and
               counted ((top, bottom), (left, right)), as `reference.pool`
"global_pool"  function; count: what divides a sum, if not the number of x's pixels
"gather"       rows, columns, channels: the number of the input's for each of the output's, or -1
               for the constant; None or left out: all. constant
"bilinear"     rows, columns: (low, high, weight), the weights float32
"softmax"      over the channels. beta: finite, at least 0
"normalize"    over the channels. epsilon: finite, at least 0; scale, offset: as of "affine"

Steps on bytes, which count from 0 in all numbers: memory of int8 has a flip of 128, uint8 one of 0.
`rescale` is (zero, low, high, flip) of what is written; "gather" takes bytes too.

"layer8"       second: the residual or None. depthwise, pointwise; kernel_size, geometry as "layer";
               sum: as of `Operator8`
"add8"         second: the other term, or none and term: bytes of it, one a channel. sum, isa
"multiply8"    second and term as of "add8". zero_a, flip_a, zero_b, flip_b, factor, rescale, isa
"bilinear8"    rows, columns as of "bilinear"; origin, flip, isa
"table8"       table: 256 ints, as they are stored; flip
"quantize"     from floats. factor, rescale
"dequantize"   to floats. factor, zero, flip
"pool8"        as "pool", nothing counted; origin, low, high, flip
"mean8"        of all pixels. zero, factor, flip, rescale
"softmax8"     powers: exp(beta·scale·−n) for n to 255; factor, flip, rescale

An activation may be left out. Steps that read their x pixel for pixel may write it over.
"""

@final
class Network:
    """Steps on one arena. It keeps no state from run to run; any number of threads may run it."""

    def __init__(
        self,
        arena: int,
        inputs: tuple[tuple[int, str], ...],
        outputs: tuple[tuple[int, str], ...],
        steps: tuple[Step, ...],
        isa: str | None = None,
    ) -> None:
        """`arena`: floats. Inputs and outputs: elements of an image, and "float32", "uint8" or
        "int8". All weights of floats are of the instruction set `isa`.
        """
    def run(
        self, inputs: tuple[_Array, ...], outputs: tuple[_Array, ...], num_threads: int
    ) -> None:
        """Compute image after image: C-contiguous arrays, of whatever shape, image after image."""
    def call(
        self,
        inputs: tuple[Any, ...],
        shapes: tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]],
        num_threads: int,
    ) -> tuple[_Array, ...] | None:
        """The outputs as new arrays, if the inputs are dense and of the right type and shape.

        `shapes`: those of one image, of the inputs and of the outputs. All inputs have a batch, or
        none has. None, and nothing computed, for any other.
        """
    def profile(
        self, inputs: tuple[_Array, ...], outputs: tuple[_Array, ...], num_threads: int
    ) -> list[int]:
        """The same, and the nanoseconds that each step took."""

_Rescale = tuple[_F32, _Array, int, int, int, bool]
"""multipliers, bias (int32), zero point, low, high; whether saturating is enough; all for int8."""

@final
class Depthwise8:
    """Packed 8-bit weights; "isa" is an 8-bit set."""

    @property
    def nbytes(self) -> int: ...
    @property
    def isa(self) -> str: ...
    def __init__(
        self,
        kernel: _Array,
        rescale: _Rescale,
        input_zero: int,
        signs: tuple[bool, bool],
        place: tuple[int, int, int, int],
        isa: str | None = None,
    ) -> None:
        """`signs`: whether x and the result are int8. place: strides, dilation."""

@final
class Pointwise8:
    """The same for a matrix (Cin, F)."""

    @property
    def nbytes(self) -> int: ...
    @property
    def isa(self) -> str: ...
    def __init__(
        self,
        kernel: _Array,
        rescale: _Rescale,
        input_zero: int,
        signs: tuple[bool, bool],
        isa: str | None = None,
    ) -> None: ...

@final
class Operator8:
    """An 8-bit layer."""

    def __init__(
        self,
        depthwise: Depthwise8 | None,
        pointwise: Pointwise8 | None,
        sum: tuple[int, ...] | None = None,
    ) -> None:
        """`sum`: zero, factor; those of the residual; shift, zero, low, high, signs."""
    def run(
        self,
        x: _Array,
        residual: _Array | None,
        out: _Array,
        pads: tuple[int, int],
        num_threads: int,
    ) -> None:
        """Arrays (n, h, w, c), channels side by side."""
    def remember(
        self, x_shape: tuple[int, ...], out_shape: tuple[int, ...], pads: tuple[int, int]
    ) -> None:
        """As `Operator.remember`."""
    def plan(
        self, x_shape: tuple[int, ...], out_shape: tuple[int, ...], num_threads: int
    ) -> str: ...
    @property
    def replay(self) -> Callable[[object, object, object, object], _Array | None]:
        """As `Operator.replay`."""

most_cells: int
"""So many bytes along an axis a mean or an average adds up."""

@final
class Depthwise16:
    """Packed weights of sums of float16: kernel (kh, kw, C, m) as bits of halves, bias (C·m,)."""

    def __init__(
        self,
        kernel: _Bits,
        bias: _F32 | None,
        activation: Activation,
        place: tuple[int, int, int, int],
        isa: str | None = None,
    ) -> None:
        """place: strides, dilation. `isa` is an instruction set of `config16`."""
    @property
    def nbytes(self) -> int: ...
    @property
    def isa(self) -> str: ...
    def weights(self) -> tuple[_F32, _F32]:
        """As of `Depthwise`."""

@final
class Pointwise16:
    """The same for a matrix (Cin, F)."""

    def __init__(
        self, kernel: _Bits, bias: _F32 | None, activation: Activation, isa: str | None = None
    ) -> None: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def isa(self) -> str: ...
    def weights(self) -> tuple[_F32, _F32]: ...

@final
class Operator16:
    """A layer with sums of float16."""

    def __init__(
        self,
        depthwise: Depthwise16 | None,
        pointwise: Pointwise16 | None,
        channels_first: bool = False,
        kernel_size: tuple[int, int] | None = None,
    ) -> None:
        """`channels_first`: of the shapes that `plan_halves` takes. `kernel_size`: of a dense
        convolution, whose matrix has kh·kw·C inputs.
        """
    def run_halves(
        self,
        x: _Bits,
        residual: _Bits | None,
        out: _Bits,
        geometry: Geometry,
        num_threads: int,
    ) -> None:
        """As `Operator.run_halves`, on arrays whose channels lie side by side."""
    def plan_halves(
        self,
        x_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        geometry: Geometry,
        num_threads: int,
    ) -> str: ...

def config16() -> dict[str, Any]:
    """The instruction sets with sums of float16: built, supported, active, which may be None."""

def kernels16(isa: str) -> list[str]:
    """As `kernels`, of such a set.

    "dwconv16_3x3_s1" (kernel, stride), "dwconv16_generic", "pwconv16_8x2" (pixels × vectors).
    """

def config8() -> dict[str, Any]:
    """The 8-bit instruction sets: built, supported, active; the `offset` of the active one's bytes
    from integers of int8, 128 or 0."""

def kernels8(isa: str) -> list[str]:
    """As `kernels`, of an 8-bit instruction set.

    "dwconv8_3x3_s1_quads" (kernel, stride, what its weights lie in), "dwconv8_fives_s2" (any kernel
    with rows of five taps), "dwconv8_generic", "pwconv8_6x4", "add8".
    """

def empty(shape: tuple[int, ...]) -> _F32:
    """An array to fill; a larger one begins on a cache line."""

def fold(
    kernel: _F32,
    bias: _F32 | None,
    vectors: tuple[_Floats | None, _Floats | None, _Floats, _Floats],
    epsilon: float,
) -> tuple[_F32, _F32, bool]:
    """Kernel and bias with a BatchNorm folded in, and whether all its numbers are in range."""

def widen(x: _Bits, y: _F32) -> None:
    """Fill `y` with the halves of `x`, given as their bits: contiguous arrays of one axis."""

def kernels(isa: str) -> list[str]:
    """Every entry of the instruction set's table.

    "dwconv_3x3_s1_2x4" (kernel, stride, output rows × columns of a tile),
    "dwconv_3x3_s1_lane_packed_7x1" (for few channels: one vector holds those of some pixels),
    "dwconv_generic", "pwconv_6x2" (pixels × vectors of a tile), "pwconv_16x1.5"; of a network's
    other steps "add", "max_pool".
    """

def lanes(isa: str) -> int:
    """Floats in a vector of the instruction set."""

def kept_bytes(isa: str | None = None) -> int:
    """What a depthwise result may have to be kept between two steps of a network; a larger one is
    projected block by block."""

def fma_loop(isa: str, iterations: int) -> int:
    """Run nothing but FMAs, to be timed; returns the floating-point operations done."""

def config() -> dict[str, Any]:
    """version, compiler, isas {built, supported, active}, all best first; pool {threads}."""

def in_order_cores(cpu_root: str = "/sys/devices/system/cpu") -> bool:
    """Whether every core is a Cortex-A53 or A55: there neon_inorder comes before neon."""

def available_cpus(cgroup_root: str = "/sys/fs/cgroup") -> int:
    """min(affinity mask, cgroup quota rounded up, cores), at least 1."""
