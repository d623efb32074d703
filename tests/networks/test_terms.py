"""Sums and products of integers with one entry a channel, resizes, and what these refuse."""

import numpy as np
import pytest
from fastdw import _core
from fastdw._isa import packed_for8
from fastdw.network._graph import GraphBuilder
from graphs import EXAMPLES, example
from graphs8 import A, B, C
from support import rng
from test_lower import check

pytestmark = pytest.mark.emulated


def entries(seed, q, count):
    least = -128 if q[2] == "int8" else 0
    return tuple(int(n) + least for n in rng(seed).integers(0, 256, count))


@pytest.mark.parametrize("channels", [1, 3, 64, 130, 4100])
@pytest.mark.parametrize("op", ["quantized_add", "quantized_multiply"])
def test_one_entry_a_channel(isa8, channels, op):
    """Computed or constant, beside a value that lies in one line or not."""
    builder = GraphBuilder()
    x = builder.input("x", (3, 5, channels + 2), "int8")
    gate = builder.input("gate", (1, 1, channels), "uint8")
    part = builder.add("slice", x, begin=(0, 0, 2), size=(3, 5, channels), step=(1, 1, 1))
    line = builder.input("line", (3, 5, channels), "int8")
    ends = {"input": A, "second": B, "output": C, "activation": "relu6"}
    signs = ({"subtrahend": "input"}, {"subtrahend": "second"}) if "add" in op else ({},)
    results = [
        builder.add(op, names, **ends, **sign, **more)
        for sign in signs
        for value in (part, line)
        for names, more in (
            ([value, gate], {}),
            ([value], {"term": entries(channels, B, channels)}),
        )
    ]
    with packed_for8(isa8):
        check(builder.build(results))


@pytest.mark.parametrize("q", [A, B])
def test_halves_of_a_resize_are_rounded_away_from_the_origin(isa8, q):
    builder = GraphBuilder()
    x = builder.input("x", (2, 2, 67), q[2])
    half = {"low": (0, 0), "high": (1, 1), "weight": np.array([0.5, 0.25])}
    tables = {f"{axis}_{name}": v for axis in ("row", "column") for name, v in half.items()}
    names = [builder.add("quantized_bilinear", x, **tables, input=q, origin=o) for o in (0, 128)]
    with packed_for8(isa8):
        check(builder.build(names), 4)


@pytest.mark.parametrize("q", [A, B])
@pytest.mark.parametrize("channels", [1, 31, 64, 130, 4100])
def test_every_entry_of_a_table(isa8, channels, q):
    """Of pixels side by side and of such as are not, and at both ends of what a vector holds."""
    builder = GraphBuilder()
    x = builder.input("x", (3, 5, channels + 2), q[2])
    part = builder.add("slice", x, begin=(0, 0, 2), size=(3, 5, channels), step=(1, 1, 1))
    names = [
        builder.add("table", v, table=entries(3, output, 256), input=q, output=output)
        for v in (x, part)
        for output in (B, C)
    ]
    with packed_for8(isa8):
        check(builder.build(names), 5)


REFUSED = [
    ("quantized_add", 1, {"term": (1,) * 36}, "entries of term must be 37"),
    ("quantized_add", 1, {}, "entries of term must be 37, got 0"),
    ("quantized_add", 2, {"term": (1,) * 37}, "term beside a second input"),
    ("quantized_add", 1, {"term": (-1,) * 37}, "entries of term must be of uint8"),
    ("quantized_add", 2, {"subtrahend": "output"}, "subtrahend must be one of"),
    ("quantized_multiply", 1, {"term": (256,) * 5}, "entries of term must be of uint8"),
    ("quantized_bilinear", 1, {"origin": 3}, "origin must be 0 or 128, got 3"),
    ("quantized_bilinear", 1, {"row_weight": np.array([0, 0, 2.0, 0])}, "row_weight must be"),
    ("quantized_bilinear", 1, {"row_weight": np.array([0, 0, np.nan, 0])}, "row_weight must be"),
    ("quantized_bilinear", 1, {"row_low": (0, 0, 3, 0)}, "row_low"),
]


@pytest.mark.parametrize(("op", "count", "attrs", "reason"), REFUSED)
def test_what_is_refused(op, count, attrs, reason):
    builder = GraphBuilder()
    inputs = [builder.input(spec.name, spec.shape, spec.dtype) for spec in example(op).inputs]
    with pytest.raises(ValueError, match=reason):
        builder.add(op, inputs[:count], **EXAMPLES[op][1] | attrs)


ONE = (0, 0, (1, 1, 4), (0, 0, 1))
SUM = (128, 1, 128, 1, 20, 128, 0, 255, 1, 1, 1)
PRODUCT = {"zero_a": 0, "zero_b": 0, "factor": 1.0, "flip_a": 0, "flip_b": 0}
TABLE = ((0,), (0,), np.zeros(1, np.float32))
MIX = {"rows": TABLE, "columns": TABLE, "origin": 0, "flip": 0}


@pytest.mark.parametrize(
    ("kind", "operands", "settings", "reason"),
    [
        ("add8", 2, {"sum": SUM}, "term"),
        ("add8", 2, {"sum": SUM, "term": (1,) * 5}, "term"),
        ("add8", 3, {"sum": SUM, "term": (1,) * 4}, "term"),
        ("add8", 2, {"sum": SUM, "term": (1, 2, 3, 256)}, "byte"),
        ("add8", 2, {"sum": (128, -(2**21) - 1, *SUM[2:]), "term": (1,) * 4}, "sum"),
        ("add8", 1, {"sum": SUM}, "number of operands"),
        ("multiply8", 2, PRODUCT | {"rescale": (0, 0, 255, 0)}, "term"),
        ("bilinear8", 2, MIX | {"rows": ((1,), *TABLE[1:])}, "table"),
        ("bilinear8", 2, MIX | {"rows": (*TABLE[:2], TABLE[2] + 2)}, "weights of a table"),
        ("bilinear8", 2, MIX | {"origin": 256}, "byte"),
    ],
)
def test_steps_that_are_refused(kind, operands, settings, reason):
    places = ((2, *ONE[1:]), (1, *ONE[1:]), (1, *ONE[1:]))
    ends = ((4, "uint8"),)
    with pytest.raises(ValueError, match=reason):
        _core.Network(1, ends, ends, ((kind, places[:operands], settings),))
