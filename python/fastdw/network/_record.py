"""Recording: symbols made of others by operators and layers, and the graph that they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastdw._arguments import describe, integer
from fastdw.network._graph import Graph, GraphBuilder, Node, TensorSpec, checked_node
from fastdw.network._layout import TO_CHANNELS_FIRST, TO_CHANNELS_LAST
from fastdw.network._ops import with_defaults
from fastdw.network._symbol import Symbol

if TYPE_CHECKING:
    from fastdw._geometry import Window


def Input(  # noqa: N802  (named as in Keras)
    shape: Sequence[int], name: str | None = None, dtype: str = "float32"
) -> Symbol:
    """Begin a network: a symbol for what a call will pass.

    Parameters
    ----------
    shape : sequence of int
        Without the batch: (H, W, C), or (C, H, W) for layers of that data_format.
    name : str, optional
        In messages and in `Network.inputs`.
    dtype : {"float32", "uint8", "int8"}
        Of the arrays that calls pass.

    Returns
    -------
    Symbol

    Raises
    ------
    TypeError, ValueError
        For another shape, name or dtype.
    """
    if not isinstance(shape, (tuple, list)):
        msg = f"shape must be a tuple of ints, got {describe(shape)}"
        raise TypeError(msg)
    sizes = tuple(integer(f"shape[{i}]", n, 1) for i, n in enumerate(shape))
    for key, value in (("name", name), ("dtype", dtype)):
        if not isinstance(value, str) and not (key == "name" and value is None):
            msg = f"{key} must be a str, got {describe(value)}"
            raise TypeError(msg)
    spec = TensorSpec("input" if name is None else name, sizes, dtype)
    GraphBuilder().input(spec.name, sizes, spec.dtype)  # its checks
    return Symbol(None, (), {"named": name is not None}, spec)


def record(op: str, inputs: Sequence[Symbol | None], **attrs: Any) -> Symbol:
    """The symbol that an operator makes of others."""
    known, names, dtypes = {}, [], {}
    for i, symbol in enumerate(inputs):
        names.append("" if symbol is None else str(i))
        if symbol is not None:
            known[str(i)] = symbol.image_shape
            dtypes[str(i)] = symbol.dtype
    while names and not names[-1]:
        names.pop()
    node = Node(op, tuple(names), op, with_defaults(op, attrs))
    node, shape, dtype = checked_node(node, known, dtypes)
    return Symbol(op, tuple(inputs[: len(names)]), node.attrs, TensorSpec(op, shape, dtype))


def graph_of(inputs: Symbol | Sequence[Symbol], outputs: Symbol | Sequence[Symbol]) -> Graph:
    """The graph from some symbols to others."""
    builder = GraphBuilder()
    names: dict[Symbol, str] = {}
    for symbol in _symbols("inputs", inputs):
        if symbol.op is not None or symbol in names:
            msg = f"inputs must be different symbols of Input, got {symbol}"
            raise ValueError(msg)
        name = symbol.spec.name
        if not symbol.attrs["named"] and names:
            name = f"{name}_{len(names)}"
        names[symbol] = builder.input(name, symbol.image_shape, symbol.dtype)
    ends = _symbols("outputs", outputs)
    for end in ends:
        for symbol in _in_order(end, names):
            if symbol.op is None:
                msg = f"outputs need {symbol}, which is not among the inputs"
                raise ValueError(msg)
            operands = ["" if x is None else names[x] for x in symbol.inputs]
            names[symbol] = builder.add(symbol.op, operands, **symbol.attrs)
    return builder.build(names[end] for end in ends)


def _symbols(name: str, value: object) -> list[Symbol]:
    symbols = value if isinstance(value, (tuple, list)) else (value,)
    if not all(isinstance(symbol, Symbol) for symbol in symbols):
        msg = f"{name} must be a Symbol or a sequence of them, got {describe(value)}"
        raise TypeError(msg)
    if not symbols:
        msg = f"{name} must not be empty"
        raise ValueError(msg)
    return list(symbols)


def _in_order(end: Symbol, known: dict[Symbol, str]) -> list[Symbol]:
    """What `end` is made of and is not known, each after its inputs."""
    order: dict[Symbol, None] = {}
    stack = [end]
    while stack:
        symbol = stack[-1]
        missing = [x for x in symbol.inputs if x is not None and x not in known and x not in order]
        if missing:
            stack += missing
        else:
            stack.pop()
            if symbol not in known:
                order.setdefault(symbol)
    return list(order)


def channels_last(x: Symbol, data_format: str) -> Symbol:
    return x if data_format == "NHWC" else record("transpose", [x], axes=TO_CHANNELS_LAST)


def channels_first(x: Symbol, data_format: str) -> Symbol:
    """Back from `channels_last`."""
    return x if data_format == "NHWC" else record("transpose", [x], axes=TO_CHANNELS_FIRST)


def placed(view: Window, x: Symbol) -> dict[str, Any]:
    """The attributes of a window over an image."""
    height, width = x.image_shape[:2]
    pads = view.rows.around(height), view.columns.around(width)
    return {"strides": view.strides, "padding": pads, "dilation_rate": view.dilation_rate}


def only_symbols(residual: object, out: object) -> Symbol | None:
    """The residual of a layer that is called on a symbol: no array goes with one."""
    if out is not None or not isinstance(residual, (Symbol, type(None))):
        name, value = ("residual", residual) if out is None else ("out", out)
        wanted = "a Symbol or None" if out is None else "None"
        msg = f"{name} must be {wanted} where x is a Symbol, got {describe(value)}"
        raise TypeError(msg)
    return residual


def record_layer(layer: Any, x: Symbol, residual: object, out: object) -> Symbol:
    """What a layer makes of a symbol."""
    if layer.dtype != "float32":
        msg = (
            f"a network takes no layer of dtype={layer.dtype!r}; make it without, and save the "
            f"network with weights={layer.dtype!r}, or make it with accumulate={layer.dtype!r}"
        )
        raise ValueError(msg)
    addend = only_symbols(residual, out)
    signature, weights, settings = layer._signature, layer._weights(), layer._settings
    signature.plan("x.shape", (1, *x.image_shape))  # its checks
    order, window = signature.data_format, signature.window
    y = channels_last(x, order)
    term = None if addend is None else channels_last(addend, order)
    if settings.get("pre_activation") is not None:
        y = record("activation", [y], activation=settings["pre_activation"])
    for name, prefix in zip(layer._kernels, layer._prefixes, strict=True):
        kernel = weights[name]
        attrs = {"bias": weights[f"{prefix}bias"], "activation": settings[f"{prefix}activation"]}
        if window is not None:
            attrs |= placed(window, y)
            window = None  # it is that of the first half
        if name == "depthwise_kernel":
            y = record("depthwise", [y], kernel=kernel, **attrs)
            continue
        if name == "pointwise_kernel":
            kernel = kernel.reshape(1, 1, *kernel.shape[-2:])
        else:
            attrs["groups"] = settings["groups"]
        y = record("conv2d", [y, term], kernel=kernel, **attrs)
    return channels_first(y, order)
