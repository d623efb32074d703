"""Whatever a caller might pass: numbers, objects, arrays of every kind, and calls that fit."""

import array
import decimal
import enum
import fractions
import inspect
from math import prod

import _contract
import _contract_arguments
import fastdw
import numpy as np
import support
from support import rng, signed

F32 = np.float32


class Subclass(np.ndarray):
    pass


class Exporter:
    """An array of another library."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class Index:
    def __init__(self, value):
        self._value = value

    def __index__(self):
        return self._value


class Mute:
    """What cannot even be printed."""

    def __repr__(self):
        raise ValueError


class Color(enum.IntEnum):
    RED = 2


INTS = [
    0, -1, 1, 2, 3, 7, 65536, 2**31 - 1, 2**31, 2**32, 2**62, 2**63, 2**64, 2**70, -(2**70),
    10**5000, np.int8(2), np.uint16(3), np.int64(-1), np.uint64(2**63), np.array(2), Index(2),
    Index(2**70), Color.RED,
]  # fmt: skip
FLOATS = [
    0.0, -1.5, 0.5, 1.0, 2.0, 1e300, float("nan"), float("inf"), -float("inf"), F32(1),
    np.float64(2), np.float16(0.5), fractions.Fraction(1, 3),
]  # fmt: skip
OBJECTS = [
    None, True, False, np.True_, "", "2", "x", "same", "relu", b"2", b"", bytearray(16), 1j,
    decimal.Decimal(2), np.complex64(1), np.array([1, 2]), np.array(1.5), object(), object, abs,
    len, Ellipsis, NotImplemented, range(2), {}, {1, 2}, {"x": 1}, [], (), [[1.0, 2.0]], Mute(),
    [Mute()], slice(1), array.array("f", [1, 2, 3]), array.array("d", [1.0]), memoryview(b"abcd"),
    np.ones(3, F32), np.dtype("f4"), np, inspect,
]  # fmt: skip
PAIRS = [
    (1,), (1, 2), [2, 1], (1, 2, 3), (0, 1), (1, None), (1.0, 2), (True, 1), ((1, 2), (3, 4)),
    (2**62, 1), (1, 2**70), ("1", 0), (np.int32(2), 1), (1, -1), [[1]], (None, None),
    (65536, 65536), (2**31, 1), (1, Mute()),
]  # fmt: skip
PADDINGS = [
    "valid", "VALID", "Same", "same_lower", "SAMEE", "full", " same", "same\0", 4, (1, 0), [0, 2],
    ((0, 1), (1, 0)), [[1, 1], [0, 0]], ((0, 1), [2, 3]), ((0, 1), 1), (1, (0, 1)),
    ((0, 1), (1,)), ((0, 1), (1, 2, 3)), ((0, 0), (1, 1), (1, 1), (0, 0)),
    ((0, 0), (0, 0), (1, 1), (1, 1)), ((0, 0), (1, 2), (3, 0), (0, 1)), ((1, 0), (0, 0), (0, 0),
    (0, 0)), ((0, 0), (0, 0), (0, 0)), ((0, 1.0), (0, 0)), ((-1, 0), (0, 0)), ((0, 2**70), (0, 0)),
    ((2**31, 2**31), (0, 0)), ((0, "1"), (0, 0)), (((0,),), 1), ((0, None), (1,)),
]  # fmt: skip
FORMATS = ["NHWC", "NCHW", "channels_last", "channels_first", "nhwc", "NCWH", "", "NHWC\0", "HWC"]
NUMBERED = ["clip", "leaky_relu", "elu", "prelu", "relu", "swishh", "linear"]
NAMES = [*_contract_arguments.ACTIVATIONS, "swishh", "Relu", "", "softmax"]
DTYPES = [
    "f8",
    "f2",
    "i4",
    "i8",
    "u1",
    "?",
    "c8",
    ">f4",
    "O",
    "g",
    "M8[s]",
    "S4",
    "U3",
    [("a", "f4")],
]


def odd_scalar(draw):
    return draw.choice(draw.choice((INTS, FLOATS, OBJECTS, PAIRS)))


def odd_array(draw, good):
    """What may stand for the array `good`: as good, or wrong in one way."""
    return draw.choice((_dtyped, _wrapped, _reshaped, _laid_out, _valued, _huge))(draw, good)


def _dtyped(draw, good):
    dtype = draw.choice(DTYPES)
    return np.zeros(good.shape, dtype) if type(dtype) is list else good.astype(dtype)


def _wrapped(draw, good):
    wraps = (
        np.ma.array, memoryview, Exporter, np.ndarray.tolist, np.ndarray.tobytes,
        lambda a: a.view(Subclass), lambda a: a.view(np.recarray),
        lambda a: Exporter(a.astype("f8")),
        lambda a: a.reshape(len(a), -1).view(np.matrix) if a.size and a.ndim else a,
        lambda a: memoryview(a.astype("i4")), lambda a: [*a] if a.ndim else [a],
        lambda a: array.array("f", a.tobytes()), lambda a: F32(1), lambda a: Subclass,
    )  # fmt: skip
    return draw.choice(wraps)(good)


def _reshaped(draw, good):
    shape = list(good.shape)
    axis = draw.randrange(len(shape)) if shape else None
    change = draw.choice(("drop", "add", "flat", "transpose", "none", 0, 1, 2, -1, 5))
    if change == "none" or axis is None:
        shape = []
    elif change == "drop":
        del shape[axis]
    elif change == "add":
        shape.insert(axis, draw.choice((1, 1, 2)))
    elif change == "flat":
        shape = [good.size]
    elif change == "transpose":
        draw.shuffle(shape)
    else:
        shape[axis] = change if change in (0, 1) else max(0, shape[axis] + change)
    return np.ones(shape, F32)


def _laid_out(draw, good):
    def unaligned(a, by=1):
        return np.frombuffer(bytearray(a.nbytes + by), np.uint8)[by:].view(F32).reshape(a.shape)

    def read_only(a):
        a = a.copy()
        a.flags.writeable = False
        return a

    def stretched(a):
        return np.repeat(a, 2, -1)[..., ::2] if a.ndim else a

    def reversed_(a):
        return a[(slice(None, None, -1),) * a.ndim]

    def same_everywhere(a):
        return np.lib.stride_tricks.as_strided(np.ones(1, F32), a.shape, (0,) * a.ndim)

    layouts = (
        unaligned, read_only, stretched, reversed_, same_everywhere, np.asfortranarray,
        lambda a: unaligned(a, 4), lambda a: a.T,
    )  # fmt: skip
    return draw.choice(layouts)(good)


def _valued(draw, good):
    values = good.copy()
    if values.size:
        value = draw.choice((np.nan, np.inf, -np.inf, 1e-45, 3e38, 0.0, -0.0))
        values.flat[draw.randrange(values.size)] = value
    return values


def _huge(draw, good):
    """An array of one number and many entries; NumPy refuses those of more than 2**63 bytes."""
    shape = list(good.shape)
    for axis in range(len(shape)):
        if draw.random() < 0.4:
            shape[axis] = draw.choice((2**15, 2**16, 2**20, 2**28, 2**31, 2**33, 2**40))
    try:
        return np.broadcast_to(F32(1), shape)
    except ValueError:
        return good


def odd_activation(draw, good):
    head = draw.choice((*NUMBERED, odd_scalar(draw)))
    pick = (draw.choice(FLOATS), draw.choice(INTS), odd_scalar(draw), odd_array(draw, good))
    numbered = (head, *(draw.choice(pick) for _ in range(draw.choice((0, 1, 1, 2, 2, 3)))))
    clip = ("clip", *draw.sample(FLOATS, 2))
    options = (draw.choice(NAMES), draw.choice(NAMES), numbered, list(numbered), clip)
    return draw.choice((*options, ("prelu", odd_array(draw, good)), odd_scalar(draw)))


def odd_batch_norm(draw, channels):
    """One of another length, or that has changed; else none at all."""
    normal = good_batch_norm(max(1, channels + draw.choice((0, 0, -1, 1))))
    if draw.random() < 0.5:
        vector = getattr(normal, draw.choice(_contract_arguments.BATCH_NORM))
        vector[draw.randrange(len(vector))] = draw.choice((np.nan, np.inf, -1, 0, -1e-3, 2))
    return draw.choice((normal, normal, odd_scalar(draw)))


def good_batch_norm(channels):
    *vectors, epsilon = support.batch_norm(rng(channels), channels)
    return fastdw.BatchNorm(*vectors, epsilon)


def room(draw, shape):
    """An array for a result, alone or a part of a larger one."""
    wide = np.full([n + draw.choice((0, 0, 3)) for n in shape], np.nan, F32)
    return wide[tuple(slice(n) for n in shape)]


def side_by_side(draw, arguments, shape):
    """An input, and an array for a result of the shape that lies behind it or over a part of it."""
    names = [n for n, v in arguments.items() if isinstance(v, (np.ndarray, fastdw.BatchNorm))]
    name = draw.choice(names)
    value = arguments[name]
    array = value if isinstance(value, np.ndarray) else value.mean
    memory = np.ones(array.size + prod(shape), F32)
    copy = memory[: array.size].reshape(array.shape)
    copy[...] = array
    start = draw.choice((array.size, max(0, array.size - 1), draw.randint(0, array.size)))
    out = memory[start : start + prod(shape)].reshape(shape)
    if isinstance(value, fastdw.BatchNorm):
        copy = fastdw.BatchNorm(value.gamma, value.beta, copy, value.variance, value.epsilon)
    return {name: copy, "out": out}


def good_call(draw, g, function):
    """Arguments that fit."""
    c, m, f = draw.randint(1, 5), draw.randint(1, 2), draw.randint(1, 6)
    layout = draw.choice(("NHWC", "channels_last", "NCHW", "channels_first"))
    size = draw.randint(1, 6), draw.randint(1, 6)
    image = (*size, c) if _contract.FORMATS[layout] == "NHWC" else (c, *size)
    batch = draw.choice(((), (0,), (1,), (2,)))
    arguments = {"x": signed(g, (*batch, *image)), "data_format": layout}
    depths = {"": f}
    if function != "pointwise_conv2d":
        kernel = (draw.randint(1, size[0]), draw.randint(1, size[1]), c)
        arguments["depthwise_kernel"] = signed(g, kernel if m == 1 else (*kernel, m))
        arguments["strides"] = draw.choice((1, 2, (2, 1), [1, 3]))
        arguments["padding"] = draw.choice(("valid", "same", "SAME_LOWER", 1, (0, 2)))
        if draw.random() < 0.2:
            arguments |= {"dilation_rate": draw.choice((2, (1, 2), 65536)), "padding": "same"}
        depths["" if function == "depthwise_conv2d" else "depthwise_"] = c * m
    if function != "depthwise_conv2d":
        inputs = c if function == "pointwise_conv2d" else c * m
        arguments["pointwise_kernel"] = signed(g, draw.choice(((inputs, f), (1, 1, inputs, f))))
    for prefix, channels in depths.items():
        optional = {
            f"{prefix}bias": signed(g, channels),
            f"{prefix}batch_norm": good_batch_norm(channels),
            f"{prefix}activation": draw.choice((*support.CLAMPS, *support.CURVES)),
        }
        arguments |= {name: v for name, v in optional.items() if draw.random() < 0.3}
    if draw.random() < 0.3:
        arguments["num_threads"] = draw.choice((None, 1, 2, 3, 1024))
    return arguments, depths


def replace(draw, arguments, fitting, name, depths, shape):
    """Another value for one argument, good or bad; `fitting` are the arguments first drawn."""
    prefix = "depthwise_" if name.startswith("depthwise_") else ""
    channels = depths.get(prefix, 1)
    good = fitting.get(name)
    if draw.random() < 0.1:
        return draw.choice(list(arguments.values()))  # the value of another
    if draw.random() < 0.15:
        return odd_scalar(draw)
    if name in ("strides", "dilation_rate", "num_threads"):
        return draw.choice(draw.choice((INTS, PAIRS)))
    if name == "padding":
        return draw.choice(draw.choice((PADDINGS, PADDINGS, PAIRS, INTS)))
    if name == "data_format":
        return draw.choice(FORMATS)
    if name.endswith("activation"):
        return odd_activation(draw, np.ones(channels, F32))
    if name.endswith("batch_norm"):
        return odd_batch_norm(draw, channels)
    if name == "out":
        good = np.ones(shape, F32)
    if name in ("residual", "bias", "depthwise_bias") and not isinstance(good, np.ndarray):
        good = np.ones(shape if name == "residual" else channels, F32)
    return odd_array(draw, good) if isinstance(good, np.ndarray) else odd_scalar(draw)
