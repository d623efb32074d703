"""Drawn configurations of every operator on every instruction set, against float64.

    python tests/long/drawn_numbers.py --count 100000 --seed 1

Each case draws an operator, its sizes and a kind of data, and runs on every instruction set of this
CPU. Errors are held against the bounds of `support`; whole numbers, powers of two and planted NaN
and Inf against equality; the SIMD sets against each other, to the last bit. What surrounds the
result is watched. Printed is the largest share of its bound that an error took.
"""

import collections
import functools
from typing import NamedTuple

import _draw
import fastdw
import numpy as np
import support  # `_draw` makes it importable
from fastdw import _core, reference
from fastdw._isa import packed_for
from support import assert_same, batch_norm, integers, rng, signed

F32 = np.float32
ISAS = _core.config()["isas"]["supported"]
DEPTHWISE = _core.Depthwise
FLT_MAX = float(np.finfo(F32).max)
CANARY = F32(1.2345e33)

CHANNELS = [*range(1, 41), *range(1, 10), 48, 63, 64, 65]
KERNELS = [(3, 3), (3, 3), (5, 5), (7, 7)]
EXACT = [None, "relu", "relu6", ("clip", -2, 3), ("leaky_relu", 0.5)]  # on whole numbers
BEFORE = [None, "relu", "relu6", "hard_swish", "tanh", ("elu", 0.7), "prelu"]  # 0 stays 0
AFTER = [*support.CLAMPS, *support.CURVES, "prelu"]
SCALES = np.array([1e-30, 1e-15, 1, 1e15], F32)

cases: collections.Counter[str] = collections.Counter()
shares: dict[tuple[str, str], float] = {}  # the largest, by kind and instruction set


class Sizes(NamedTuple):
    """The drawn sizes of one case."""

    operator: str
    shapes: dict  # of the arrays
    window: dict  # the arguments that place it
    depths: dict  # channels behind each half, by the prefix of its arguments
    terms: list  # in a sum of each half
    out: tuple  # shape of the result

    @property
    def padded(self):
        return self.window.get("padding", "valid") != "valid"


def draw_sizes(draw, operators):
    operator = draw.choice(operators)
    size, batch = (draw.randint(1, 9), draw.randint(1, 17)), draw.choice((0, 1, 1, 1, 1, 2, 3))
    channels, filters = draw.choice(CHANNELS), draw.choice(CHANNELS)
    data_format = draw.choice(("NHWC", "NCHW"))
    shapes, window, depths, terms = {}, {"data_format": data_format}, {}, []

    def image(size, channels):
        return (batch, *size, channels) if data_format == "NHWC" else (batch, channels, *size)

    shapes["x"] = image(size, channels)
    if operator != "pointwise_conv2d":
        kernel, more = draw_window(draw, size)
        window |= more
        single = reference.depthwise_conv2d(np.zeros((1, *size, 1)), np.zeros((*kernel, 1)), **more)
        size = single.shape[1:3]
        shapes["depthwise_kernel"] = (*kernel, channels, draw.choice((1, 1, 1, 2, 3)))
        channels *= shapes["depthwise_kernel"][3]
        depths["" if operator == "depthwise_conv2d" else "depthwise_"] = channels
        terms.append(kernel[0] * kernel[1])
    if operator != "depthwise_conv2d":
        shapes["pointwise_kernel"] = (channels, filters)
        depths[""] = filters
        terms.append(channels)
    return Sizes(operator, shapes, window, depths, terms, image(size, depths[""]))


def draw_window(draw, size):
    kernel = draw.choice((draw.choice(KERNELS), (draw.randint(1, 7), draw.randint(1, 7))))
    step = draw.choice((1, 1, 2, 3))
    strides = draw.choice((step, step, (step, draw.randint(1, 3))))
    dilation = draw.choice((1, 1, 1, (draw.randint(1, 3), draw.randint(1, 3))))
    rates = (dilation, dilation) if dilation == 1 else dilation
    lacking = [
        max(0, (taps - 1) * d + 1 - pixels)
        for pixels, taps, d in zip(size, kernel, rates, strict=True)
    ]
    padding = "valid"
    if any(lacking) or draw.random() < 0.8:
        pads = tuple((draw.randint(0, 4), pad + draw.randint(0, 4)) for pad in lacking)
        padding = draw.choice(("same", "same_lower", pads))
    return kernel, {"strides": strides, "dilation_rate": dilation, "padding": padding}


def arrays(sizes, g, x, depthwise_kernel, pointwise_kernel):
    """The three arrays, each made by its own function of (generator, shape)."""
    makers = {
        "x": x, "depthwise_kernel": depthwise_kernel, "pointwise_kernel": pointwise_kernel,
    }  # fmt: skip
    return {name: makers[name](g, shape) for name, shape in sizes.shapes.items()}


def with_slopes(activation, g, channels):
    return ("prelu", signed(g, channels)) if activation == "prelu" else activation


def random_data(draw, g, sizes):
    """Plain random numbers: a sum of nine or more stays below half its bound."""
    arguments = arrays(sizes, g, signed, signed, signed)
    return arguments | {"activation": draw.choice(support.CLAMPS)}


def epilogue_data(draw, g, sizes):
    """Random numbers and every epilogue."""
    arguments = arrays(sizes, g, signed, signed, signed)
    for prefix, channels in sizes.depths.items():
        if draw.random() < 0.5:
            arguments[f"{prefix}bias"] = 3 * signed(g, channels)
        if draw.random() < 0.5:
            arguments[f"{prefix}batch_norm"] = batch_norm(g, channels)
        arguments[f"{prefix}activation"] = with_slopes(draw.choice(AFTER), g, channels)
    if "depthwise_" in sizes.depths:
        channels = sizes.shapes["depthwise_kernel"][2]
        arguments["pre_activation"] = with_slopes(draw.choice(BEFORE), g, channels)
    if sizes.operator != "depthwise_conv2d" and draw.random() < 0.5:
        arguments["residual"] = signed(g, sizes.out)
    return arguments


def whole_data(draw, g, sizes):
    """Whole numbers and epilogues that keep them: no sum leaves the 24 bits of float32."""
    arguments = arrays(
        sizes,
        g,
        integers,
        functools.partial(integers, limit=2),
        functools.partial(integers, limit=2),
    )
    for prefix, channels in sizes.depths.items():
        if draw.random() < 0.5:
            arguments[f"{prefix}bias"] = integers(g, channels)
        if draw.random() < 0.5:
            vectors = integers(g, (3, channels), 2)
            arguments[f"{prefix}batch_norm"] = (*vectors, np.full(channels, 0.75, F32), 0.25)
        arguments[f"{prefix}activation"] = draw.choice(EXACT)
    if "depthwise_" in sizes.depths and not (sizes.padded and draw.random() < 0.5):
        arguments["pre_activation"] = draw.choice(EXACT)
    if sizes.operator != "depthwise_conv2d" and draw.random() < 0.5:
        arguments["residual"] = integers(g, sizes.out)
    return arguments


def planted_data(draw, g, sizes):
    """Whole numbers, and one NaN or infinity; in a kernel only where no window leaves the image."""
    arguments = whole_data(draw, g, sizes)
    places = [
        name
        for name, value in arguments.items()
        if isinstance(value, np.ndarray) and value.size and not (sizes.padded and "kernel" in name)
    ]
    if places:
        target = arguments[draw.choice(places)]
        target.flat[draw.randrange(target.size)] = draw.choice((np.nan, np.inf, -np.inf))
    return arguments


def power_data(draw, g, sizes):
    """Each tap and each input channel another power of two: shows what is swapped."""
    count = 8 if sizes.operator == "separable_conv2d" else 20

    def taps(g, shape):
        powers = F32(2) ** -(np.arange(shape[0] * shape[1], dtype=F32) % count)
        return np.broadcast_to(powers.reshape(*shape[:2], 1, 1), shape).copy()

    def rows(g, shape):
        powers = F32(2) ** -(np.arange(shape[0], dtype=F32) % count)
        return integers(g, shape, 1) * powers[:, None]

    unit = functools.partial(integers, limit=1)
    return arrays(sizes, g, unit, taps, unit if sizes.operator == "separable_conv2d" else rows)


def cancelling_data(draw, g, sizes):
    """Neighbours of opposite sign and nearly equal size, in every sum."""

    def near_one(g, shape):
        return 1 + signed(g, shape) * F32(2.0**-12)

    def alternating(g, shape, length):
        sign = np.where(np.arange(length) % 2, F32(-1), F32(1))
        return (near_one(g, shape).reshape(length, -1) * sign[:, None]).reshape(shape)

    return arrays(
        sizes, g, near_one,
        lambda g, shape: alternating(g, shape, shape[0] * shape[1]),
        lambda g, shape: alternating(g, shape, shape[0]),
    )  # fmt: skip


def far_apart_data(draw, g, sizes):
    """Products from 1e-45 to 1e30 that meet in one sum."""

    def scaled(g, shape, most):
        return signed(g, shape) * SCALES[g.integers(0, most, shape)]

    return arrays(
        sizes, g,
        lambda g, shape: scaled(g, shape, 4),
        lambda g, shape: scaled(g, shape, 3) * F32(1e15),
        lambda g, shape: scaled(g, shape, 3),
    )  # fmt: skip


def subnormal_data(draw, g, sizes):
    """Numbers below the normal range: nothing is flushed to zero."""
    return arrays(sizes, g, lambda g, shape: signed(g, shape) * F32(2.0**-130), integers, integers)


def overflowing_data(draw, g, sizes):
    """Sums around the largest float32."""
    return arrays(sizes, g, lambda g, shape: signed(g, shape) * F32(3e38), signed, signed)


def share_of_bound(got, wanted):
    """The largest error as a share of its bound; NaN and Inf must be where they are wanted."""
    rounded = wanted.value.astype(F32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    error = np.abs(got.astype(np.float64) - wanted.value)[finite]
    # A NaN here is an error, too: it makes the largest share NaN.
    share = np.divide(error, wanted.error[finite], out=np.zeros_like(error), where=error != 0)
    return float(np.max(share, initial=0))


def bounded(got, wanted, sizes):
    share = share_of_bound(got, wanted)
    assert share <= 1, f"an error of {share} bounds"
    return share


def half_bounded(got, wanted, sizes):
    share = bounded(got, wanted, sizes)
    assert share < 0.5 or min(sizes.terms) < 9, f"an error of {share} bounds"
    return share if min(sizes.terms) >= 9 else 0.0


def bounded_or_overflown(got, wanted, sizes):
    """Where some order of the sum may overflow the result may be no number, else it is near."""
    # M of the bound gamma_n * M; the last half has the largest.
    magnitude = wanted.error / support.gamma(max(sizes.terms) + 1)
    safe = magnitude < FLT_MAX
    near = support.Bounded(wanted.value[safe], wanted.error[safe])
    assert np.all(np.abs(got - wanted.value)[np.isfinite(got)] <= wanted.error[np.isfinite(got)])
    assert not np.any(np.isfinite(got[np.abs(wanted.value) - wanted.error > FLT_MAX]))
    return bounded(got[safe], near, sizes)


def equal(got, wanted, sizes):
    assert_same(got, wanted.astype(F32))
    return 0.0


class Kind(NamedTuple):
    data: object  # of (draw, generator, sizes): the arguments
    check: object  # of (got, wanted, sizes): the share of the bound
    operators: tuple = ("depthwise_conv2d", "pointwise_conv2d", "separable_conv2d")


KINDS = {
    "random": Kind(random_data, half_bounded),
    "epilogues": Kind(epilogue_data, bounded),
    "whole": Kind(whole_data, equal),
    "planted": Kind(planted_data, equal),
    "powers": Kind(power_data, equal),
    "cancelling": Kind(cancelling_data, bounded),
    "far apart": Kind(far_apart_data, bounded),
    "subnormal": Kind(subnormal_data, bounded),
    "overflowing": Kind(
        overflowing_data, bounded_or_overflown, ("depthwise_conv2d", "pointwise_conv2d")
    ),
}


def run(isa, operator, arguments, shape, generic):
    """The result on one instruction set, from between canaries."""
    forced = None
    if generic:
        forced = next(name for name in _core.kernels(isa) if name.startswith("dwconv_generic"))

    def packed(kernel, bias, activation, isa=None, name=forced, fused=False):
        return DEPTHWISE(kernel, bias, activation, isa, name or forced, fused)

    _core.Depthwise = packed
    size = int(np.prod(shape))
    canvas = np.full(size + 64, CANARY)
    out = canvas[31 : 31 + size].reshape(shape)
    with packed_for(isa):
        getattr(fastdw, operator)(**arguments, out=out)
    assert np.all(canvas[:31] == CANARY), "written before the result"
    assert np.all(canvas[31 + size :] == CANARY), "written behind the result"
    return out


def cropped(array):
    """`array` as a crop of an image of NaN."""
    wide = np.full([n + 2 for n in array.shape], np.nan, F32)
    crop = wide[(slice(1, -1),) * array.ndim]
    crop[...] = array
    return crop


@np.errstate(all="ignore")
def draw_case(draw):
    name = draw.choice(list(KINDS))
    kind = KINDS[name]
    sizes = draw_sizes(draw, kind.operators)
    arguments = kind.data(draw, rng(draw.getrandbits(64)), sizes) | sizes.window
    if kind.check is equal:
        wanted = getattr(reference, sizes.operator)(**arguments)
    else:
        wanted = getattr(support, sizes.operator.removesuffix("_conv2d"))(**arguments)
    arguments = {
        key: fastdw.BatchNorm(*value) if key.endswith("batch_norm") else value
        for key, value in arguments.items()
    }
    arguments["num_threads"] = draw.choice((1, 1, 1, 2, 3))
    if draw.random() < 0.25:
        arguments["x"] = cropped(arguments["x"])
    generic = draw.random() < 0.25
    results = {isa: run(isa, sizes.operator, arguments, sizes.out, generic) for isa in ISAS}
    cases[name] += 1
    for isa, got in results.items():
        share = kind.check(got, wanted, sizes)
        shares[name, isa] = max(shares.get((name, isa), 0.0), share)
    simd = [got for isa, got in results.items() if isa != "scalar"]
    for got in simd[1:]:
        assert_same(got, simd[0])


def report():
    yield f"{'largest share of the bound':28}{'cases':>8}" + "".join(f"{isa:>10}" for isa in ISAS)
    for name, kind in KINDS.items():
        words = [
            "equal" if kind.check is equal else f"{shares.get((name, i), 0):.3f}" for i in ISAS
        ]
        yield f"{name:28}{cases[name]:8}" + "".join(f"{word:>10}" for word in words)


if __name__ == "__main__":
    _draw.main(__doc__.splitlines()[0], 100_000, draw_case, report)
