"""The operators of 8-bit integers, as `_ops` lists those of float32.

A quantization is (scale, zero_point, dtype). `input` is that of the first input, `output` that of
the result; their dtypes are those of the values. `activation` is None, "relu", "relu6",
"relu_n1_to_1" or ("clip", lo, hi) of real numbers. The arithmetic is that of `reference.quantized`.

quantized_conv2d (x, residual) : image (OH, OW, F)
    kernel (kh, kw, Cin, F) of int8, scales (F,) or (1,), bias (F,) of int32 = None, strides,
    padding, dilation_rate, activation = None, input, output. The residual, of the quantization
    `residual`, is added to the result by `quantized_add`, which gives `sum`; both None without one.
quantized_depthwise (x) : image (OH, OW, C·m)
    kernel (kh, kw, C, m) of int8, scales, bias, strides, padding, dilation_rate, activation, input,
    output.
quantized_separable (x, residual) : quantized_depthwise, then a 1×1 quantized_conv2d
    depthwise_kernel, depthwise_scales, depthwise_bias, depthwise_activation, strides, padding,
    dilation_rate, pointwise_kernel, scales, bias, activation, input, middle, output, residual, sum.
    Made by rewrites alone.
quantized_add, quantized_multiply (a, b) : as a
    input, second, output, activation = None, term = None. `b` has the shape of `a`, or one entry a
    channel; without it these are in `term`. subtrahend = None: quantized_add subtracts "input" or
    "second".
quantized_pool (x) : image, as pool
    function, window, strides, padding, dilation_rate, input, which is that of the result too,
    origin, activation = None. No cell of the padding counts.
quantized_mean (x) : (1, 1, C)
    input, output.
quantized_bilinear (x) : image, as bilinear
    row_low, row_high, row_weight, and as much of columns; weights are rounded to whole multiples of
    1/2048; input, which is that of the result too, and origin.
quantized_softmax (x) : as x, over the last axis
    beta = 1.0, input, output.
table (x) : as x
    table, 256 integers of `output`: for each integer of `input` from the least on; input, output.
quantize (x) : as x, from float32
    output.
dequantize (x) : as x, to float32
    input.
"""

from __future__ import annotations

from fastdw.network import _attributes as kind
from fastdw.network import _shapes, _shapes8, _steps8, _twins8, _types
from fastdw.network._attributes import WINDOW, Attribute
from fastdw.network._op import Op

_Q = Attribute(kind.quantization)
_NO_Q = Attribute(kind.optional(kind.quantization), None)
_ORIGIN = Attribute(kind.count(0))
_CLAMP = Attribute(kind.bounds, None)
_ENDS = {"input": _Q, "output": _Q}
_SUM = {"residual": _NO_Q, "sum": _NO_Q}


def _epilogue(prefix: str) -> dict[str, Attribute]:
    return {
        f"{prefix}scales": Attribute(kind.array(1)),
        f"{prefix}bias": Attribute(kind.optional(kind.whole("int32", 1)), None),
        f"{prefix}activation": _CLAMP,
    }


_KERNEL = Attribute(kind.whole("int8", 4))
_TERM = Attribute(kind.optional(kind.integers(-128)), None)
_PAIR = _ENDS | {"second": _Q, "activation": _CLAMP, "term": _TERM}
_SUBTRAHEND = Attribute(kind.optional(kind.choice("input", "second")), None)

OPS8: dict[str, Op] = {
    "quantized_conv2d": Op(
        1,
        2,
        {"kernel": _KERNEL} | _epilogue("") | WINDOW | _ENDS | _SUM,
        _shapes8.conv2d,
        _twins8.conv2d,
        _steps8.conv2d,
        _types.Integers(("input", "residual"), ("output", "sum")),
    ),
    "quantized_depthwise": Op(
        1,
        1,
        {"kernel": _KERNEL} | _epilogue("") | WINDOW | _ENDS,
        _shapes8.depthwise,
        _twins8.depthwise,
        _steps8.depthwise,
        _types.Integers(("input",), ("output",)),
    ),
    "quantized_separable": Op(
        1,
        2,
        {"depthwise_kernel": _KERNEL, "pointwise_kernel": _KERNEL, "middle": _Q}
        | _epilogue("depthwise_")
        | _epilogue("")
        | WINDOW
        | _ENDS
        | _SUM,
        _shapes8.separable,
        _twins8.separable,
        _steps8.separable,
        _types.Integers(("input", "residual"), ("output", "sum")),
    ),
    "quantized_add": Op(
        1,
        2,
        _PAIR | {"subtrahend": _SUBTRAHEND},
        _shapes8.add,
        _twins8.add,
        _steps8.add,
        _types.Integers(("input", "second"), ("output",)),
    ),
    "quantized_multiply": Op(
        1,
        2,
        _PAIR,
        _shapes8.multiply,
        _twins8.multiply,
        _steps8.multiply,
        _types.Integers(("input", "second"), ("output",)),
    ),
    "quantized_pool": Op(
        1,
        1,
        {
            "function": Attribute(kind.choice("max", "average")),
            "window": Attribute(kind.pair(1)),
            "input": _Q,
            "origin": _ORIGIN,
            "activation": _CLAMP,
        }
        | WINDOW,
        _shapes8.pool,
        _twins8.pool,
        _steps8.pool,
        _types.Integers(("input",), ("input",)),
    ),
    "quantized_mean": Op(
        1,
        1,
        _ENDS,
        _shapes8.mean,
        _twins8.mean,
        _steps8.mean,
        _types.Integers(("input",), ("output",)),
    ),
    "quantized_bilinear": Op(
        1,
        1,
        kind.BILINEAR | {"input": _Q, "origin": _ORIGIN},
        _shapes8.bilinear,
        _twins8.bilinear,
        _steps8.bilinear,
        _types.Integers(("input",), ("input",)),
    ),
    "quantized_softmax": Op(
        1,
        1,
        _ENDS | {"beta": Attribute(kind.real, 1.0)},
        _shapes8.softmax,
        _twins8.softmax,
        _steps8.softmax,
        _types.Integers(("input",), ("output",)),
    ),
    "table": Op(
        1,
        1,
        _ENDS | {"table": Attribute(kind.integers(-128))},
        _shapes8.table,
        _twins8.table,
        _steps8.table,
        _types.Integers(("input",), ("output",)),
    ),
    "quantize": Op(
        1,
        1,
        {"output": _Q},
        _shapes.like_x,
        _twins8.quantize,
        _steps8.quantize,
        _types.Integers(("float32",), ("output",)),
    ),
    "dequantize": Op(
        1,
        1,
        {"input": _Q},
        _shapes.like_x,
        _twins8.dequantize,
        _steps8.dequantize,
        _types.Integers(("input",), ("float32",)),
    ),
}
