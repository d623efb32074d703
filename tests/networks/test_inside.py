"""Values of int8 inside a network, which lie in memory as the kernels take them."""

import numpy as np
from fastdw import _core
from fastdw.network._graph import GraphBuilder, dtypes
from fastdw.network._inside import unsigned
from graphs8 import A, C, D, epilogue, whole
from support import rng
from test_lower import check


def graph():
    """Every way between operators of integers, and what moves, pools or ends a value."""
    b = GraphBuilder()

    def conv(inputs, name, seed=0, **options):
        kernel = {"kernel": whole(seed, 1, 1, b.shape(inputs[0])[2], 12)} | epilogue(seed, 12)
        return b.add("quantized_conv2d", inputs, name, **kernel, **options)

    x = b.input("x", (6, 5, 8), "int8")
    first = conv([x], "first", input=A, output=D)
    entries = tuple(int(n) for n in rng(1).integers(-128, 128, 256))
    b.add("table", first, "curve", table=entries, input=D, output=C)
    b.add("quantized_add", ["curve", first], "sum", input=C, second=D, output=A)
    conv(["sum", "curve"], "with residual", 2, input=A, output=D, residual=C, sum=A)
    conv(["with residual"], "pooled", 3, input=A, output=C)
    options = {"window": (2, 2), "strides": (2, 2), "input": C, "origin": 128}
    b.add("quantized_pool", "pooled", "pool", function="max", **options)
    b.add("quantized_mean", "pool", "mean", input=C, output=D)
    b.add("reshape", "mean", "moved", shape=(12,))
    b.add("quantized_softmax", "moved", "end", beta=1.0, input=D, output=(1 / 256, -128, "int8"))
    b.add("dequantize", "sum", "floats", input=A)
    return b.build(["end", "floats"])


def test_bits(forced_isa):
    check(graph())


def test_what_integers_alone_make_and_read_has_no_sign_where_kernels_want_none():
    before, after = dtypes(graph()), dtypes(unsigned(graph()))
    changed = {name for name in before if before[name] != after[name]}
    wanted = {"first", "curve", "sum", "with residual"}
    assert changed == (wanted if _core.config8()["offset"] else set())
    assert {after[name] for name in changed} <= {"uint8"}
    assert np.all([before[name] == "int8" for name in wanted])
