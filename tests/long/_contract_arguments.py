"""What the contract says of one argument alone: its types and its values."""

import numbers
import operator
from math import prod

import fastdw
import numpy as np

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
FLT_MAX = float(np.finfo(F32).max)
MAX_EXTENT = 2**31
ADDRESS_SPACE = 16 << 30  # bytes that a call may have, so that larger results are refused

PARAMETERS = {"clip": 2, "leaky_relu": 1, "elu": 1, "prelu": 1}
ACTIVATIONS = {
    "linear", "relu", "relu6", "hard_sigmoid", "hard_swish", "hard_silu", "sigmoid", "swish",
    "silu", "tanh", "gelu", "gelu_tanh", "softplus", "mish", *PARAMETERS,
}  # fmt: skip


class Verdict:
    """The faults of a call, and what is known of its result."""

    def __init__(self):
        self.faults = []  # (errors, names of which the message has one)
        self.open = []  # the same, where the contract leaves the call free
        self.shape = None
        self.nbytes = 0  # of the largest array that it needs, as far as is known

    def fault(self, errors, *names):
        if errors:
            self.faults.append((set(errors), names))

    def needs(self, shape):
        """A float32 array, which may be more than memory holds."""
        nbytes = 4 * prod(shape)
        self.nbytes = max(self.nbytes, nbytes)
        if nbytes > ADDRESS_SPACE:
            self.fault([MemoryError, ValueError])

    def wrong_type(self, *names):
        self.fault([TypeError], *names)

    def wrong_value(self, *names):
        self.fault([ValueError], *names)


def int_error(value, low, high=2**63 - 1):
    """The error of what should be an int in low...high, or None."""
    if isinstance(value, (bool, np.bool_)):
        return TypeError
    try:
        number = operator.index(value)
    except TypeError:
        return TypeError
    return None if low <= number <= high else ValueError


def int_errors(values, low, high=2**63 - 1):
    return {int_error(value, low, high) for value in values} - {None}


def array(verdict, name, value, dtypes=(F32,)):
    """`value` as an ndarray of an accepted dtype; None is a fault, and then the result."""
    if isinstance(value, np.matrix):
        return verdict.fault(
            [ValueError] if value.dtype in dtypes else [ValueError, TypeError], name
        )
    if isinstance(value, np.generic):  # a scalar, or an array without axes?
        return verdict.fault([TypeError, ValueError], name)
    if isinstance(value, np.ma.MaskedArray):
        return verdict.wrong_type(name)
    if not isinstance(value, np.ndarray):
        try:
            value = np.asarray(memoryview(value))
        except TypeError:
            if isinstance(value, type) or not hasattr(value, "__dlpack__"):
                return verdict.wrong_type(name)
            try:
                value = np.from_dlpack(value)
            except (BufferError, TypeError):  # of a dtype that DLPack does not know
                return verdict.wrong_type(name)
    return value if value.dtype in dtypes else verdict.wrong_type(name)


def vector(verdict, name, value, length):
    if value is None:
        return
    entries = array(verdict, name, value)
    if entries is not None and (entries.ndim != 1 or length not in (None, len(entries))):
        verdict.wrong_value(name)


def pair(verdict, name, value):
    """A stride or a dilation as (h, w), or None."""
    parts = value if isinstance(value, (tuple, list)) else (value, value)
    errors = int_errors(parts, 1)
    if len(parts) != 2:
        errors.add(ValueError)
    verdict.fault(errors, name)
    return None if errors else tuple(map(operator.index, parts))


def pads(verdict, padding, order):
    """A mode, ((top, bottom), (left, right)), or None."""
    if isinstance(padding, str):
        mode = padding.lower()
        if mode in ("same", "same_lower"):
            return mode
        return ((0, 0), (0, 0)) if mode == "valid" else verdict.wrong_value("padding")
    if not isinstance(padding, (tuple, list)):
        padding = (padding, padding)
    nested = [isinstance(part, (tuple, list)) for part in padding]
    if len(padding) == 2 and not any(nested):
        padding, nested = [(p, p) for p in padding], [True, True]
    leaves = [
        leaf for part in padding for leaf in (part if type(part) in (tuple, list) else [part])
    ]
    errors = int_errors(leaves, 0, MAX_EXTENT)
    if len(padding) not in (2, 4) or not all(nested) or any(len(part) != 2 for part in padding):
        errors.add(ValueError)
    verdict.fault(errors, "padding")
    if errors:
        return None
    pairs = [tuple(map(operator.index, part)) for part in padding]
    if len(pairs) == 2:
        return tuple(pairs)
    if order is None:
        return None
    pairs = dict(zip(order, pairs, strict=True))
    if any(pairs["N"] + pairs["C"]):
        return verdict.wrong_value("padding")
    return pairs["H"], pairs["W"]


def activation(verdict, name, value, channels):
    """Whether it keeps 0 at 0; None if it is refused."""
    head, *numbers_ = value or ("",) if isinstance(value, (tuple, list)) else (value,)
    if value is None:
        return True
    if not isinstance(head, str):
        return verdict.wrong_type(name)
    if head not in ACTIVATIONS or len(numbers_) != PARAMETERS.get(head, 0):
        return verdict.wrong_value(name)
    if isinstance(value, list) or (not numbers_ and isinstance(value, tuple)):
        verdict.open.append(({TypeError, ValueError}, (name,)))
    if head == "prelu":
        vector(verdict, name, numbers_[0], channels)
        if numbers_[0] is None:
            verdict.wrong_type(name)
        return True
    floats = [float_of(number) for number in numbers_]
    errors = {number for number in floats if isinstance(number, type)}
    verdict.fault(errors, name)
    if errors:
        return None
    if head == "clip":
        lo, hi = floats
        return verdict.wrong_value(name) if not lo <= hi else lo <= 0 <= hi
    if numbers_ and not abs(floats[0]) <= FLT_MAX:
        verdict.open.append(({ValueError}, (name,)))
    return head not in ("sigmoid", "hard_sigmoid", "softplus")


def float_of(value):
    """The number, or the error of what should be one."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return TypeError
    try:
        return float(value)
    except OverflowError:
        return ValueError


def batch_norm(verdict, name, value, channels):
    if value is None:
        return
    if not isinstance(value, fastdw.BatchNorm):
        return verdict.wrong_type(name)
    if channels not in (None, len(value.mean)):
        return verdict.wrong_value(name)
    # Its arrays are referred to, and may have changed.
    judge_numbers(verdict, {n: getattr(value, n) for n in BATCH_NORM}, value.epsilon, name)


BATCH_NORM = ("gamma", "beta", "mean", "variance")


@np.errstate(all="ignore")
def judge_numbers(verdict, vectors, epsilon, *names):
    """Of a BatchNorm: finite, and a variance above 0."""
    for name, entries in vectors.items():
        if entries is not None and not np.all(np.isfinite(entries)):
            verdict.wrong_value(name, *names)
    if not 0 <= epsilon < np.inf:
        verdict.wrong_value("epsilon", *names)
    variance = vectors["variance"]
    if np.any(variance < 0):
        verdict.wrong_value("variance", *names)
    if np.any(variance + np.float64(epsilon) <= 0):
        verdict.wrong_value("variance", "epsilon", *names)
