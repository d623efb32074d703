"""Checks of the arguments that every operator takes, and the words that explain a refusal.

A wrong Python type or dtype is a TypeError; a wrong shape, value, flag or overlap a ValueError.
"""

from __future__ import annotations

import numbers
import operator
import os
import reprlib
import sys
from collections.abc import Collection, Mapping
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastdw._typing import AnyArray, Float32

FLOAT32 = np.dtype(np.float32)
FLOAT16 = np.dtype(np.float16)
FLOATS = (FLOAT32, np.dtype(np.float64))
INT64_MAX = 2**63 - 1
MAX_THREADS = 1024

# Nested lists are cut at the second level: of images they would fill the screen.
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_MOST_LETTERS = 120

# What to do with an x of float16.
_HALVES = ', or make the layer with dtype="float16", where it takes one'

_DATA_FORMATS = {
    "NHWC": "NHWC",
    "channels_last": "NHWC",
    "NCHW": "NCHW",
    "channels_first": "NCHW",
}

# Enough for every layout that slicing and transposing make; beyond it an overlap is assumed.
_OVERLAP_WORK = 100_000


def describe(value: object) -> str:
    """The offending value in a message: its type, and the value where that is short."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    try:
        text = _SHORT.repr(value)
    except ValueError:  # Python prints no int of more than some thousand digits
        return f"{type(value).__name__} of too many digits"
    more = "..." if len(text) > _MOST_LETTERS else ""
    return f"{type(value).__name__} {text[:_MOST_LETTERS]}{more}"


def integer(
    name: str, value: object, low: int, high: int = INT64_MAX, wanted: str = "an int"
) -> int:
    """An int in low...high; a bool is none. `wanted` says what the argument may be in all."""
    if type(value) is int and low <= value <= high:
        return value
    is_bool = isinstance(value, (bool, np.bool_))
    try:
        number = None if is_bool else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None:
        msg = f"{name} must be {wanted}, got {describe(value)}"
        raise TypeError(msg)
    if not low <= number <= high:
        bound = f"at least {low}" if number < low else f"at most {high}"
        msg = f"{name} must be {bound}, got {describe(number)}"
        raise ValueError(msg)
    return number


def number(name: str, value: object) -> float:
    """A real number as a float; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        msg = f"{name} must be a number, got {describe(value)}"
        raise TypeError(msg)
    try:
        return float(value)
    except OverflowError:
        msg = f"{name} must fit into a float, got {describe(value)}"
        raise ValueError(msg) from None


def choice(name: str, value: object, words: Collection[str]) -> str:
    """One of some words."""
    if not isinstance(value, str):
        msg = f"{name} must be a str, got {describe(value)}"
        raise TypeError(msg)
    if value not in words:
        msg = f"{name} must be one of {', '.join(map(repr, words))}, got {value!r}"
        raise ValueError(msg)
    return value


def data_format(value: object) -> str:
    """ "NHWC" or "NCHW"."""
    return _DATA_FORMATS[choice("data_format", value, _DATA_FORMATS)]


def layer_dtype(value: object) -> str:
    """ "float32" or "float16"."""
    return choice("dtype", value, ("float32", "float16"))


def path(name: str, value: object, wanted: str = "a path") -> str:
    """A path; a number, which `open` takes for a file that is open already, is none."""
    if not isinstance(value, (str, os.PathLike)):
        msg = f"{name} must be {wanted}, got {describe(value)}"
        raise TypeError(msg)
    return os.fsdecode(value)


def num_threads(value: object) -> int:
    return integer("num_threads", value, 1, MAX_THREADS)


def as_array(name: str, value: object, dtypes: tuple[np.dtype[Any], ...] = (FLOAT32,)) -> AnyArray:
    """`value` as a plain ndarray of one of the dtypes, without a copy."""
    array = value if type(value) is np.ndarray else viewed(name, value, dtypes[0].name)
    if array.dtype not in dtypes:
        wanted = " or ".join(dtype.name for dtype in dtypes)
        msg = (
            f"{name} must be an array of native {wanted}, got dtype {array.dtype.str!r} "
            f"({array.dtype}){_advice(name, array.dtype, dtypes[0])}"
        )
        raise TypeError(msg)
    return array


def _advice(name: str, given: np.dtype[Any], wanted: np.dtype[Any]) -> str:
    """How to get from one dtype to the other, where that is one step."""
    if wanted.kind == "f" and given == np.int8:  # a cast would take steps for numbers
        return "; integers become real numbers by fastdw.dequantize"
    if wanted.kind == "f":
        halves = _HALVES if given == FLOAT16 and name == "x" else ""
        return f"; convert it with .astype(np.{wanted.name}){halves}"
    if wanted.itemsize == 1:  # a cast would cut what lies between whole numbers
        return "; real numbers become integers by fastdw.quantize"
    return ""


def _masked(value: object) -> bool:
    # Asking np.ma would import it, and a child forked meanwhile would wait for that import for
    # ever. No array is masked before somebody has imported it.
    ma = sys.modules.get("numpy.ma")
    return ma is not None and isinstance(value, getattr(ma, "MaskedArray", ()))


def viewed(name: str, value: object, wanted: str) -> AnyArray:
    """`value` as a plain ndarray over the same memory; `wanted` is the dtype that a list needs."""
    if isinstance(value, np.matrix):
        msg = f"{name} must not be a np.matrix, which has always two axes; pass an ndarray"
        raise ValueError(msg)
    if _masked(value):
        msg = f"{name} must not be a MaskedArray; fill it first, with .filled(value)"
        raise TypeError(msg)
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if getattr(value, "requires_grad", False) is True:
        msg = f"{name} is a tensor that requires grad; pass {name}.detach()"
        raise TypeError(msg)
    if hasattr(value, "is_neg") and value.is_neg():  # DLPack would drop the sign
        msg = f"{name} is a tensor with its negative bit set; pass {name}.resolve_neg()"
        raise TypeError(msg)
    try:
        return np.asarray(memoryview(value))  # type: ignore[arg-type]
    except TypeError:
        if not hasattr(value, "__dlpack__"):
            msg = (
                f"{name} must be a NumPy array, or an object with the buffer protocol or "
                f"__dlpack__, got {describe(value)}"
            )
            if isinstance(value, (list, tuple)) or hasattr(value, "__array_interface__"):
                msg += f"; make it one with np.asarray({name}, np.{wanted})"
            raise TypeError(msg) from None
    except (BufferError, ValueError) as error:
        msg = f"NumPy cannot view {name} ({type(value).__name__}): {error}"
        raise TypeError(msg) from error
    try:
        return np.from_dlpack(value)
    except MemoryError:
        raise
    except Exception as error:  # each exporter has its own: BufferError, RuntimeError, ...
        msg = f"NumPy cannot view {name} ({type(value).__name__}) without a copy: {error}"
        raise TypeError(msg) from error


def vector(
    name: str, value: object, length: int, dtypes: tuple[np.dtype[Any], ...] = (FLOAT32,)
) -> AnyArray:
    """A 1-D array of `length` entries."""
    array = as_array(name, value, dtypes)
    if array.shape != (length,):
        msg = f"{name} must have shape ({length},), one entry a channel, got {array.shape}"
        raise ValueError(msg)
    return array


def depthwise_kernel(value: object, dtype: np.dtype[Any] = FLOAT32) -> AnyArray:
    """(kh, kw, C, m); three axes mean m = 1."""
    kernel = as_array("depthwise_kernel", value, (dtype,))
    if kernel.ndim not in (3, 4) or 0 in kernel.shape:
        msg = (
            "depthwise_kernel must have shape (kh, kw, C, m) or (kh, kw, C), "
            f"each at least 1, got {kernel.shape}"
        )
        raise ValueError(msg)
    return kernel[..., None] if kernel.ndim == 3 else kernel


def matrix(name: str, value: object) -> Float32:
    """(Cin, F)."""
    kernel = as_array(name, value)
    if kernel.ndim != 2 or 0 in kernel.shape:
        msg = f"{name} must have shape (Cin, F), each at least 1, got {kernel.shape}"
        raise ValueError(msg)
    return kernel


def pointwise_kernel(
    value: object, name: str = "pointwise_kernel", dtype: np.dtype[Any] = FLOAT32
) -> AnyArray:
    """(Cin, F); four axes must begin with (1, 1)."""
    kernel = as_array(name, value, (dtype,))
    if kernel.ndim == 4 and kernel.shape[:2] == (1, 1):
        kernel = kernel[0, 0]
    if kernel.ndim != 2 or 0 in kernel.shape:
        msg = (
            f"{name} must have shape (1, 1, Cin, F) or (Cin, F), "
            f"each at least 1, got {kernel.shape}"
        )
        raise ValueError(msg)
    return kernel


def output_channels(kernel: AnyArray) -> int:
    """Of a checked kernel, depthwise or pointwise."""
    return prod(kernel.shape[2:]) if kernel.ndim == 4 else int(kernel.shape[1])


def chained(kernels: Mapping[str, AnyArray]) -> None:
    """Refuse kernels of which one does not take what the one before it gives."""
    for (before, first), (name, kernel) in pairwise(kernels.items()):
        takes, gives = kernel.shape[2 if kernel.ndim == 4 else 0], output_channels(first)
        if takes != gives:
            msg = (
                f"{name} has {takes} input channels, but {before} gives {gives} "
                f"({before}.shape = {first.shape})"
            )
            raise ValueError(msg)


def dense_kernel(value: object) -> Float32:
    """(kh, kw, Cin / groups, F)."""
    kernel = as_array("kernel", value)
    if kernel.ndim != 4 or 0 in kernel.shape:
        msg = (
            f"kernel must have shape (kh, kw, Cin / groups, F), each at least 1, got {kernel.shape}"
        )
        raise ValueError(msg)
    return kernel


def groups(value: object, filters: int) -> int:
    """A number that divides the filters."""
    count = integer("groups", value, 1)
    if filters % count:
        msg = f"groups must divide the {filters} filters of kernel, got {count}"
        raise ValueError(msg)
    return count


def halved(name: str, kernel: Float32) -> Float32:
    """A kernel rounded to float16, as float32."""
    with np.errstate(over="ignore"):
        rounded = kernel.astype(np.float16)
    beyond = np.abs(kernel[np.isinf(rounded) & np.isfinite(kernel)])
    if beyond.size:
        msg = f"{name} must fit into float16, got {beyond.max()}"
        raise ValueError(msg)
    return rounded.astype(np.float32)


def nhwc(array: AnyArray, channels_first: bool) -> AnyArray:
    """The view that the core takes: four axes in the order (n, h, w, c)."""
    if array.ndim == 3:
        array = array[None]
    return array.transpose(0, 2, 3, 1) if channels_first else array


def readable(array: AnyArray) -> AnyArray:
    """`array`, or its copy where floats do not lie on multiples of their size."""
    return array if array.flags.aligned else array.copy()


def dense(array: AnyArray) -> AnyArray:
    """`array`, or its aligned C-contiguous copy."""
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else array.copy()


def residual(value: object, shape: tuple[int, ...], dtype: np.dtype[Any] = FLOAT32) -> AnyArray:
    array = as_array("residual", value, (dtype,))
    if array.shape != shape:
        msg = f"residual must have the output's shape {shape}, got {array.shape}"
        raise ValueError(msg)
    return array


def out(
    value: object,
    shape: tuple[int, ...],
    dtype: np.dtype[Any] = FLOAT32,
    /,
    **inputs: AnyArray | None,
) -> AnyArray:
    """`value` as a plain ndarray, of any strides, that the core may fill.

    `inputs` are named as the user knows them: a network's may have any names.
    """
    array = _fillable(value, shape, dtype)
    for name, other in inputs.items():
        if other is not None:
            apart(array, name, other)
    return array


def _fillable(value: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> AnyArray:
    """The same, without a look at the inputs."""
    if not isinstance(value, np.ndarray) or _masked(value):
        msg = f"out must be a NumPy array, got {describe(value)}"
        raise TypeError(msg)
    if value.dtype != dtype:
        msg = f"out must be of native {dtype}, got dtype {value.dtype.str!r} ({value.dtype})"
        raise TypeError(msg)
    if value.shape != shape:
        msg = f"out must have the output's shape {shape}, got {value.shape}"
        raise ValueError(msg)
    flags = value.flags
    if not (flags.writeable and flags.aligned):
        msg = (
            "out must be writeable and aligned, got "
            f"writeable={flags.writeable}, aligned={flags.aligned}"
        )
        raise ValueError(msg)
    if not (flags.c_contiguous or _each_apart(value)):
        msg = f"out must have no two elements at one place, got strides {value.strides}"
        raise ValueError(msg)
    return np.asarray(value)


def contiguous(name: str, array: AnyArray) -> AnyArray:
    if not array.flags.c_contiguous:
        msg = f"{name} must be C-contiguous, got shape {array.shape} with strides {array.strides}"
        raise ValueError(msg)
    return array


def _each_apart(array: AnyArray) -> bool:
    """Whether a step along an axis leaves behind all that the shorter steps reach.

    So it is for every view by slices and transposes.
    """
    reach = array.itemsize
    steps = (abs(step) for step in array.strides)
    for step, size in sorted(zip(steps, array.shape, strict=True)):
        if size > 1:
            if step < reach:
                return False
            reach += step * (size - 1)
    return True


def same_place(a: AnyArray, b: AnyArray) -> bool:
    """Whether two arrays of one shape and dtype are the same memory, element by element."""
    return a.strides == b.strides and a.ctypes.data == b.ctypes.data


def apart(out: AnyArray, name: str, array: AnyArray) -> None:
    """Refuse an `out` that shares memory with an input."""
    if np.may_share_memory(out, array) and _shares_memory(out, array):
        msg = f"out must not overlap any input, but it shares memory with {name}"
        raise ValueError(msg)


def _shares_memory(a: AnyArray, b: AnyArray) -> bool:
    try:
        return np.shares_memory(a, b, max_work=_OVERLAP_WORK)  # type: ignore[arg-type]
    except (RuntimeError, OverflowError):  # TooHardError is a RuntimeError
        return True
