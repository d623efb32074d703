"""QLinear operators of ONNX, and those of ONNX Runtime, in the words of QuantizeLinear.

Each is DequantizeLinear of its inputs, an operator on real numbers, QuantizeLinear of its output.
Integers whose steps are found when the model runs, DynamicQuantizeLinear and what reads it, become
real numbers.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_RUNTIME = "com.microsoft"
# The operator, and how many quantised inputs it has; then come the output's scale and zero point.
_OPERATORS = {
    ("", "QLinearConv"): ("Conv", 2),
    ("", "QLinearMatMul"): ("MatMul", 2),
    (_RUNTIME, "QLinearAdd"): ("Add", 2),
    (_RUNTIME, "QLinearMul"): ("Mul", 2),
    (_RUNTIME, "QLinearSigmoid"): ("Sigmoid", 1),
    (_RUNTIME, "QLinearLeakyRelu"): ("LeakyRelu", 1),
    (_RUNTIME, "QLinearGlobalAveragePool"): ("GlobalAveragePool", 1),
    (_RUNTIME, "QLinearAveragePool"): ("AveragePool", 1),
    (_RUNTIME, "QGemm"): ("Gemm", 2),
}
_CONCAT = (_RUNTIME, "QLinearConcat")
DYNAMIC = ("", "DynamicQuantizeLinear")
_OF_INTEGERS = {("", "ConvInteger"): "Conv", ("", "MatMulInteger"): "MatMul"}
# For integers of 16 bits before opset 21, and otherwise the same.
_ALIKE = ((_RUNTIME, "QuantizeLinear"), (_RUNTIME, "DequantizeLinear"))


def spelt_out(proto: Any) -> Iterator[Any]:
    """The nodes that a node stands for: itself, if it is no QLinear operator."""
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    key = (domain, proto.op_type)
    names = list(proto.input)
    if key == _CONCAT and len(names) % 3 == 2:
        yield from _group(proto, "Concat", names[2:], names[:2], None)
    elif key in _OPERATORS and len(names) >= 3 * _OPERATORS[key][1] + 2 and not _is_scaled(proto):
        op, count = _OPERATORS[key]
        given, rest = names[: 3 * count], names[3 * count :]
        # Gemm's bias comes before what its output is quantised by, a convolution's after it.
        bias = rest.pop(0) if op == "Gemm" else None
        bias = rest[2] if op == "Conv" and len(rest) > 2 else bias
        yield from _group(proto, op, given, rest[:2], bias)
    elif key == DYNAMIC and len(proto.output) == 3:
        yield from _unrounded(proto)
    elif key in _OF_INTEGERS and len(names) >= 2:
        yield from _of_reals(proto, _OF_INTEGERS[key], [*names, "", ""][:4])
    elif key in _ALIKE:
        same = type(proto)()
        same.CopyFrom(proto)
        same.domain = ""
        yield same
    else:
        yield proto


def _unrounded(proto: Any) -> Iterator[Any]:
    """Integers in steps of 1 from 0, that is, the numbers themselves: nothing is rounded."""
    from onnx import TensorProto, helper

    out, step, zero = proto.output
    name = proto.name or out
    yield helper.make_node("Identity", list(proto.input), [out], name=name)
    for value, dtype, result in ((1.0, TensorProto.FLOAT, step), (0, TensorProto.UINT8, zero)):
        tensor = helper.make_tensor("value", dtype, [], [value])
        yield helper.make_node("Constant", [], [result], name=name, value=tensor)


def _of_reals(proto: Any, op: str, names: list[str]) -> Iterator[Any]:
    """The same of real numbers, in steps of 1: x − zero point, and weights less theirs.

    The first of these is an operator of the same name, which knows how many zero points there are.
    """
    from onnx import TensorProto, helper

    out = proto.output[0] if proto.output else ""
    name, x, weights, one = proto.name or out, f"{out}/x", f"{out}/weights", f"{out}/one"

    def node(op: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return helper.make_node(op, inputs, [output], name=name, **attributes)

    if names[2]:
        yield node(proto.op_type, [names[0], names[2]], x)
    else:
        yield node("Cast", names[:1], x, to=TensorProto.FLOAT)
    yield node("Constant", [], one, value=helper.make_tensor("value", TensorProto.FLOAT, [], [1.0]))
    axis = 0 if op == "Conv" else 1
    yield node("DequantizeLinear", [names[1], one, *filter(None, names[3:])], weights, axis=axis)
    made = node(op, [x, weights], out)
    made.attribute.extend(proto.attribute)
    yield made


def _is_scaled(proto: Any) -> bool:
    """Whether a factor of its own is in the steps of QGemm's bias."""
    return proto.op_type == "QGemm" and any(a.name == "alpha" and a.f != 1 for a in proto.attribute)


def _group(
    proto: Any, op: str, given: list[str], end: list[str], bias: str | None
) -> Iterator[Any]:
    from onnx import helper

    out = proto.output[0] if proto.output else ""
    name = proto.name or out

    def node(op: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return helper.make_node(op, inputs, [output], name=name, **attributes)

    by_rows = op == "Conv" or any(a.name == "transB" and a.i for a in proto.attribute)
    axis = 0 if by_rows else 1
    reals = []
    for i in range(0, len(given), 3):
        reals.append(f"{out}/real {i // 3}")
        # The second input is a matrix of weights, or a value with one scale.
        along = {"axis": axis} if i else {}
        yield node("DequantizeLinear", given[i : i + 3], reals[-1], **along)
    if bias:
        steps = f"{out}/bias steps"
        yield node("Mul", [given[1], given[4]], steps)
        yield node("DequantizeLinear", [bias, steps], f"{out}/bias", axis=0)
        reals.append(f"{out}/bias")
    made = node(op, reals, f"{out}/real")
    # ONNX Runtime's tools write the default of its pools.
    made.attribute.extend(a for a in proto.attribute if a.name != "channels_last" or a.i)
    yield made
    yield node("QuantizeLinear", [f"{out}/real", *end], out)
