"""Which calls are refused, and with which error: the contract once more, apart from the library.

`judge` and its like look at the arguments as they are and collect every fault. A refused call must
raise one of the errors of one of its faults, and name one of the arguments of that fault.
"""

import operator
from math import prod

import fastdw
import numpy as np
from _contract_arguments import (
    BATCH_NORM,
    F32,
    F64,
    MAX_EXTENT,
    Verdict,
    activation,
    array,
    batch_norm,
    float_of,
    int_error,
    int_errors,
    judge_numbers,
    pads,
    pair,
    vector,
)

MAX_THREADS = 1024

HEADS = {  # the positional arguments, in order
    "depthwise_conv2d": [
        "x", "depthwise_kernel", "strides", "padding", "data_format", "dilation_rate",
    ],
    "pointwise_conv2d": ["x", "pointwise_kernel", "data_format"],
    "separable_conv2d": [
        "x", "depthwise_kernel", "pointwise_kernel", "strides", "padding", "data_format",
        "dilation_rate",
    ],
}  # fmt: skip
TAILS = {  # those by keyword
    "depthwise_conv2d": ["bias", "batch_norm", "activation", "out", "num_threads"],
    "pointwise_conv2d": ["bias", "batch_norm", "activation", "residual", "out", "num_threads"],
    "separable_conv2d": [
        "pre_activation", "depthwise_bias", "depthwise_batch_norm", "depthwise_activation",
        "bias", "batch_norm", "activation", "residual", "out", "num_threads",
    ],
}  # fmt: skip
LAYER = ("accumulate",)  # what a layer takes, and a function does not
CALL = ("x", "residual", "out", "num_threads")  # what a layer takes when it is called

FORMATS = {"NHWC": "NHWC", "channels_last": "NHWC", "NCHW": "NCHW", "channels_first": "NCHW"}


def output_size(verdict, x, size, extent, stride, pad):
    """Of one axis, or None."""
    if isinstance(pad, str):
        outputs = -(-size // stride)
        padded = size + max((outputs - 1) * stride + extent - size, 0)
    else:
        padded = size + sum(pad)
        outputs = (padded - extent) // stride + 1
    if outputs < 1:
        return verdict.wrong_value(x, "padding", "kernel", "depthwise_kernel", "dilation_rate")
    if padded > MAX_EXTENT:
        return verdict.wrong_value(x, "padding", "padded")
    return outputs


def judge_batch_norm(arguments):
    """`BatchNorm(**arguments)`."""
    verdict = Verdict()
    vectors = {}
    for name in BATCH_NORM:
        value = arguments[name]
        if value is None and name in ("gamma", "beta"):
            continue
        vectors[name] = array(verdict, name, value, (F32, F64))
        if vectors[name] is not None and vectors[name].ndim != 1:
            verdict.wrong_value(name, "mean")
    sizes = {v.shape for v in vectors.values() if v is not None}
    if len(sizes) > 1:
        verdict.wrong_value(*vectors)
    epsilon = float_of(arguments["epsilon"])
    if isinstance(epsilon, type):
        verdict.fault([epsilon], "epsilon")
    elif not verdict.faults:
        judge_numbers(verdict, vectors, epsilon)
    return verdict


def threads(verdict, name, value):
    verdict.fault({int_error(value, 1, MAX_THREADS)} - {None}, name)


def judge(function, arguments, as_layer=False):
    """`function(**arguments)`, or a layer built and called with them; None where absent."""
    verdict = Verdict()
    given = dict.fromkeys((*HEADS["separable_conv2d"], *TAILS["separable_conv2d"]))
    given |= {"strides": 1, "padding": "valid", "data_format": "NHWC", "dilation_rate": 1}
    known = {*HEADS[function], *TAILS[function], *(LAYER if as_layer else ())}
    for name in arguments.keys() - known:
        verdict.wrong_type(name)  # an unknown keyword
    for name in {"x", "depthwise_kernel", "pointwise_kernel"}.intersection(HEADS[function]):
        if name not in arguments:
            verdict.wrong_type(name)
    given |= arguments
    layout = given["data_format"]
    if not isinstance(layout, str):
        verdict.wrong_type("data_format")
    elif layout not in FORMATS:
        verdict.wrong_value("data_format")
    order = FORMATS.get(layout) if isinstance(layout, str) else None
    if as_layer and not isinstance(given.get("accumulate", ""), str):
        verdict.wrong_type("accumulate")
    elif as_layer and given.get("accumulate", "float32") != "float32":
        verdict.wrong_value("accumulate")  # "float16" too, for it goes with that dtype
    x = array(verdict, "x", given["x"])
    _judge_weights(verdict, function, given, order, x)
    if as_layer:
        given |= {name: None for name in given if name not in CALL}
    _judge_out(verdict, given, function)
    if given["num_threads"] is not None:
        threads(verdict, "num_threads", given["num_threads"])
    if verdict.shape is not None:
        verdict.needs(verdict.shape)
    return verdict


def judge_input_shape(function, arguments, shape):
    """`output_shape(shape)` and `macs(shape)` of a layer that was built from good arguments."""
    verdict = Verdict()
    if not isinstance(shape, (tuple, list)):
        verdict.wrong_type("input_shape")
        return verdict
    errors = int_errors(shape, 0)
    verdict.fault(errors, "input_shape")
    if not errors:
        given = {"strides": 1, "padding": "valid", "data_format": "NHWC", "dilation_rate": 1}
        given |= dict.fromkeys(TAILS["separable_conv2d"]) | arguments
        shape = tuple(map(operator.index, shape))
        _judge_weights(verdict, function, given, FORMATS[given["data_format"]], shape)
    return verdict


def _judge_weights(verdict, function, given, order, x):
    """Everything but the arguments of a call; `x` is an array, or its shape under another name."""
    label = "input_shape" if isinstance(x, tuple) else "x"
    shape = x if x is None or isinstance(x, tuple) else x.shape
    size = channels = None
    if shape is not None and (len(shape) not in (3, 4) or 0 in shape[-3:]):
        verdict.wrong_value(label)
    elif shape is not None and order is not None:
        size = shape[-3:-1] if order == "NHWC" else shape[-2:]
        channels = shape[-1] if order == "NHWC" else shape[-3]
    if function != "pointwise_conv2d":
        size, channels = _judge_depthwise(verdict, function, given, order, label, size, channels)
        source = "depthwise_kernel"
    else:
        source = label
    if function != "depthwise_conv2d":
        matrix = array(verdict, "pointwise_kernel", given["pointwise_kernel"])
        if matrix is not None and matrix.ndim == 4 and matrix.shape[:2] == (1, 1):
            matrix = matrix[0, 0]
        if matrix is not None and (matrix.ndim != 2 or 0 in matrix.shape):
            matrix = verdict.wrong_value("pointwise_kernel")
        if matrix is not None and channels is not None and matrix.shape[0] != channels:
            verdict.wrong_value("pointwise_kernel", source)
        channels = None if matrix is None else matrix.shape[1]
        if matrix is not None:
            verdict.needs(matrix.shape)
        _judge_epilogue(verdict, given, "", channels)
    if None not in (size, channels, shape):
        last = (*size, channels) if order == "NHWC" else (channels, *size)
        verdict.shape = (*shape[:-3], *last)


def _judge_depthwise(verdict, function, given, order, label, size, channels):
    """Size and channels behind it, or None for what is not known."""
    kernel = array(verdict, "depthwise_kernel", given["depthwise_kernel"])
    if kernel is not None and (kernel.ndim not in (3, 4) or 0 in kernel.shape):
        kernel = verdict.wrong_value("depthwise_kernel")
    strides = pair(verdict, "strides", given["strides"])
    dilation = pair(verdict, "dilation_rate", given["dilation_rate"])
    around = pads(verdict, given["padding"], order)
    if kernel is not None and channels is not None and kernel.shape[2] != channels:
        verdict.wrong_value("depthwise_kernel", label)
    inputs = channels = extents = None
    if kernel is not None:
        inputs, channels = kernel.shape[2], prod(kernel.shape[2:])
        verdict.needs(kernel.shape)
        if dilation is not None:
            extents = [(k - 1) * d + 1 for k, d in zip(kernel.shape[:2], dilation, strict=True)]
            if max(extents) > MAX_EXTENT:
                extents = verdict.wrong_value("dilation_rate", "depthwise_kernel")
    if None in (size, extents, strides, around):
        size = None
    else:
        modes = (around, around) if isinstance(around, str) else around
        axes = zip(size, extents, strides, modes, strict=True)
        size = [output_size(verdict, "x", *axis) for axis in axes]
        size = None if None in size else size
    prefix = "" if function == "depthwise_conv2d" else "depthwise_"
    _judge_epilogue(verdict, given, prefix, channels)
    keeps_zero = activation(verdict, "pre_activation", given["pre_activation"], inputs)
    if keeps_zero is False and around not in (None, ((0, 0), (0, 0))):
        verdict.wrong_value("pre_activation")
    return size, channels


def _judge_epilogue(verdict, given, prefix, channels):
    vector(verdict, f"{prefix}bias", given[f"{prefix}bias"], channels)
    batch_norm(verdict, f"{prefix}batch_norm", given[f"{prefix}batch_norm"], channels)
    activation(verdict, f"{prefix}activation", given[f"{prefix}activation"], channels)


def _judge_out(verdict, given, function):
    if given["residual"] is not None and function != "depthwise_conv2d":
        addend = array(verdict, "residual", given["residual"])
        if addend is not None and verdict.shape not in (None, addend.shape):
            verdict.wrong_value("residual")
    out = given["out"]
    if out is None:
        return
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray) or out.dtype != F32:
        return verdict.wrong_type("out")
    flags = out.flags
    if verdict.shape not in (None, out.shape):
        verdict.wrong_value("out")
    if not (flags.writeable and flags.aligned) or _overlaps_itself(out):
        verdict.wrong_value("out")
    for name, value in given.items():
        arrays = inner_arrays(value)
        if name == "residual":  # it may be `out` itself
            place = out.__array_interface__
            arrays = [a for a in arrays if a.__array_interface__ != place]
        if name != "out" and any(np.shares_memory(out, a) for a in arrays):
            verdict.wrong_value("out")


def _overlaps_itself(array):
    """Whether two elements are one; of arrays too large to count only repeated axes make that."""
    axes = [(n, step) for n, step in zip(array.shape, array.strides, strict=True) if n > 1]
    if array.size == 0 or array.size > 2**20:
        return array.size > 0 and any(step == 0 for _, step in axes)
    places = np.zeros(1, np.int64)
    for size, step in axes:
        places = np.add.outer(places, step * np.arange(size)).ravel()
    return np.unique(places).size < array.size


def inner_arrays(value):
    """The arrays of an argument: itself, a BatchNorm's, or prelu's slopes."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, fastdw.BatchNorm):
        return [getattr(value, name) for name in BATCH_NORM if getattr(value, name) is not None]
    if isinstance(value, (tuple, list)):
        return [part for part in value if isinstance(part, np.ndarray)]
    try:
        return [
            np.from_dlpack(value) if hasattr(value, "__dlpack__") else np.asarray(memoryview(value))
        ]
    except (TypeError, BufferError):
        return []
