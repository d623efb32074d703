"""How far each node of a network may lie from its twin, given the inputs that it really had."""

import numpy as np
from fastdw import reference
from fastdw.network._graph import dtypes, shapes
from fastdw.network._lower import lower
from fastdw.network._ops import FLOAT_PAIRS, OPS
from fastdw.network._ops8 import OPS8
from support import (
    TINY,
    Bounded,
    U,
    activated,
    assert_same,
    assert_within,
    exact,
    gamma,
    of_function,
)

WINDOW = ("strides", "padding", "dilation_rate")


def run_program(program, graph, arrays, threads=1):
    """The outputs of one image, or of a batch of them."""
    known = shapes(graph)
    batch = arrays[0].shape[: arrays[0].ndim - len(graph.inputs[0].shape)]
    types = dtypes(graph)
    outputs = [unset((*batch, *known[name]), types[name]) for name in graph.outputs]
    program.core.run(tuple(map(np.ascontiguousarray, arrays)), tuple(outputs), threads)
    return outputs


def unset(shape, dtype):
    return np.full(shape, np.nan if dtype == "float32" else 77, dtype)


def traced(graph, arrays, accumulate="float32"):
    """Every value of a graph, as the core computes it: all are outputs."""
    names = tuple(node.output for node in graph.nodes)
    names += tuple(name for name in graph.outputs if name not in names)
    everything = graph._replace(outputs=names)
    values = run_program(lower(everything, accumulate), everything, arrays)
    inputs = {spec.name: array for spec, array in zip(graph.inputs, arrays, strict=True)}
    return inputs | dict(zip(names, values, strict=True))


def check_nodes(graph, values):
    """Hold every node to its bound."""
    for node in graph.nodes:
        operands = [values.get(name) for name in node.inputs]
        got = values[node.output]
        if got.dtype == np.float32:
            assert_within(got, bound(node, operands))
        else:
            assert_same(got, OPS[node.op].reference(operands, node.attrs))


def bound(node, operands):
    terms = [np.asarray(x, np.float64) if np.asarray(x).dtype.kind == "f" else x for x in operands]
    return BOUNDS[node.op](terms, node.attrs)


def _sums(twin, x, kernel, terms, bias=None, residual=None, activation=None):
    """`twin(x, kernel)` and what is added to it, of inputs with errors of their own."""

    def total(x, kernel, *more):
        return sum((np.asarray(m, np.float64) for m in more if m is not None), twin(x, kernel))

    size = np.abs(x.value) + x.error
    more = [None if m is None else np.abs(m) for m in (bias, residual)]
    magnitude = total(size, np.abs(kernel), *more)
    error = gamma(terms + 3) * magnitude + (terms + 3) * TINY + twin(x.error, np.abs(kernel))
    return activated(Bounded(total(x.value, kernel, bias, residual), error), activation)


def _residual(operands):
    return operands[1] if len(operands) > 1 else None


def _conv2d(operands, attrs):
    x = exact(operands[0])
    if len(operands) > 2:
        product = operands[0] * operands[2].reshape(-1)
        x = Bounded(product, U * np.abs(product) + TINY)
    kernel, groups = np.asarray(attrs["kernel"], np.float64), attrs["groups"]
    window = {name: attrs[name] for name in WINDOW}

    def twin(x, kernel):
        return reference.conv2d(x, kernel, **window, groups=groups)

    last = attrs["bias"], _residual(operands), attrs["activation"]
    return _sums(twin, x, kernel, kernel[..., 0].size, *last)


def _depthwise_of(x, attrs, prefix=""):
    kernel = np.asarray(attrs[f"{prefix}kernel"], np.float64)
    window = {name: attrs[name] for name in WINDOW}

    def twin(x, kernel):
        return reference.depthwise_conv2d(x, kernel, **window)

    bias, activation = attrs[f"{prefix}bias"], attrs[f"{prefix}activation"]
    return _sums(twin, x, kernel, kernel[..., 0, 0].size, bias, None, activation)


def _transposed(operands, attrs):
    kernel = np.asarray(attrs["kernel"], np.float64)
    window = {name: attrs[name] for name in ("strides", "padding", "output_padding")}

    def twin(x, kernel):
        return reference.conv2d_transpose(x, kernel, **window)

    last = attrs["bias"], None, attrs["activation"]
    return _sums(twin, exact(operands[0]), kernel, kernel[..., 0].size, *last)


def _pointwise_of(x, kernel, bias, residual, activation):
    def twin(x, kernel):
        return np.asarray(reference.conv2d(x, kernel))

    kernel = np.asarray(kernel, np.float64)
    return _sums(twin, x, kernel, kernel.shape[2], bias, residual, activation)


def _projected(x, operands, attrs):
    last = attrs["bias"], _residual(operands), attrs["activation"]
    return _pointwise_of(x, attrs["pointwise_kernel"], *last)


def _separable(operands, attrs):
    x = activated(exact(operands[0]), attrs["pre_activation"])
    return _projected(_depthwise_of(x, attrs, "depthwise_"), operands, attrs)


def _expand_depthwise(operands, attrs):
    names = ("expand_kernel", "expand_bias", "expand_activation")
    kernel, bias, activation = (attrs[name] for name in names)
    x = _pointwise_of(exact(operands[0]), kernel, bias, None, activation)
    return _depthwise_of(x, attrs, "depthwise_")


def _inverted(operands, attrs):
    return _projected(_expand_depthwise(operands, attrs), operands, attrs)


def _second(operands):
    a, b = operands
    return b if a.shape == b.shape else b.reshape(-1)


def _once(value, activation):
    return activated(Bounded(value, U * np.abs(value) + TINY), activation)


def _affine(operands, attrs):
    product = operands[0] * attrs["scale"]
    error = gamma(2) * (np.abs(product) + np.abs(attrs["offset"])) + 2 * TINY
    return activated(Bounded(product + attrs["offset"], error), attrs["activation"])


def _pool(operands, attrs):
    value = reference.pool(operands[0], **attrs)
    if attrs["function"] == "max":
        return exact(value)
    terms = attrs["window"][0] * attrs["window"][1] + 1
    return Bounded(value, gamma(terms) * reference.pool(np.abs(operands[0]), **attrs) + TINY)


def _global_pool(operands, attrs):
    value = reference.global_pool(operands[0], **attrs)
    if attrs["function"] == "max":
        return exact(value)
    terms = operands[0][..., 0].size + 1
    return Bounded(value, gamma(terms) * reference.global_pool(np.abs(operands[0]), **attrs) + TINY)


def mixed(x, rows, columns):
    """Bilinear: two roundings and a fused one, twice."""

    def magnitude(a, b, w):
        return np.abs(a) + (np.abs(a) + np.abs(b)) * np.abs(w)

    x = np.asarray(x, np.float64)
    low, high, weight = (np.asarray(t) for t in columns)
    y = magnitude(x[:, low], x[:, high], weight[:, np.newaxis])
    low, high, weight = (np.asarray(t) for t in rows)
    size = magnitude(y[low], y[high], weight[:, np.newaxis, np.newaxis])
    return Bounded(reference.bilinear(x, rows, columns), gamma(8) * size + 8 * TINY)


def _bilinear(operands, attrs):
    tables = [
        tuple(attrs[f"{axis}_{part}"] for part in ("low", "high", "weight"))
        for axis in ("row", "column")
    ]
    return mixed(operands[0], *tables)


def shares(x, beta=1.0):
    """Softmax: 4 ulp of the exponential, sums in any order."""
    v = beta * np.asarray(x, np.float64)
    v = v - v.max(axis=-1, keepdims=True)
    powers = np.exp(v)
    total = powers.sum(axis=-1, keepdims=True)
    passed = 3 * U * np.abs(v)
    relative = passed + (powers * passed).sum(axis=-1, keepdims=True) / total
    value = powers / total
    error = value * (relative + 16 * U + gamma(x.shape[-1] + 2)) + 4 * TINY
    return Bounded(value, 1.01 * error)


def normalized(x, scale, offset, epsilon):
    """The mean is a sum's; what it is off moves each difference, and so the variance."""
    x = np.asarray(x, np.float64)
    terms = gamma(x.shape[-1] // 16 + 18)
    mean = x.mean(axis=-1, keepdims=True)
    off = terms * np.abs(x).mean(axis=-1, keepdims=True)
    difference = np.abs(x - mean)
    error = off + U * (difference + off)
    variance = (difference**2).mean(axis=-1, keepdims=True) + epsilon
    squares = (difference + error) ** 2
    more = (squares - difference**2).mean(axis=-1, keepdims=True)
    more = more + terms * (squares.mean(axis=-1, keepdims=True) + epsilon) + TINY
    with np.errstate(all="ignore"):
        least = np.sqrt(np.maximum(variance - more, 0))
        off = (difference + error) / least * (1 + gamma(3)) - difference / np.sqrt(variance)
        size = difference / least * np.abs(scale) + np.abs(offset)
        error = off * np.abs(scale) + gamma(3) * size + TINY
    return Bounded(reference.normalize(x, scale, offset, epsilon), error)


def _pair(op):
    def bound(operands, attrs):
        value = OPS[op].reference(operands, attrs | {"activation": None})
        return _once(value, attrs["activation"])

    return bound


def _moved(op):
    return lambda operands, attrs: exact(OPS[op].reference(operands, attrs))


BOUNDS = {
    "conv2d": _conv2d,
    "depthwise": lambda operands, attrs: _depthwise_of(exact(operands[0]), attrs),
    "conv2d_transpose": _transposed,
    "affine": _affine,
    "activation": lambda operands, attrs: activated(exact(operands[0]), attrs["activation"]),
    "unary": lambda operands, attrs: of_function(operands[0], attrs["function"]),
    **{name: _pair(name) for name in FLOAT_PAIRS},
    "pool": _pool,
    "global_pool": _global_pool,
    "concat": _moved("concat"),
    "slice": _moved("slice"),
    "gather": _moved("gather"),
    "bilinear": _bilinear,
    "reshape": _moved("reshape"),
    "transpose": _moved("transpose"),
    "softmax": lambda operands, attrs: shares(operands[0], attrs["beta"]),
    "normalize": lambda operands, attrs: normalized(operands[0], **attrs),
    "separable": _separable,
    "expand_depthwise": _expand_depthwise,
    "inverted": _inverted,
} | {op: _moved(op) for op in OPS8}
