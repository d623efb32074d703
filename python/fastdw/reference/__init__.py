"""Every operator once more, in plain float64 NumPy.

This is the definition that the compiled operators are tested against, and the place to look up
what an argument means: it loops over the taps of the kernel, does one thing a line, and shares
nothing with the rest of the package. The functions take the arguments of their fast twins, accept
any real dtype, compute in float64 and return float64; those of 8-bit integers, and those in sums of
float16, give just these. The convolution is the cross-correlation of ``tf.nn.depthwise_conv2d`` and
``tf.nn.separable_conv2d``, padded and dilated as ONNX ``Conv``.
"""

from ._activation import activate, unary
from ._convolution import depthwise_conv2d, pointwise_conv2d, separable_conv2d
from ._dense import conv2d, conv2d_transpose
from ._float16 import (
    float16_conv2d,
    float16_depthwise_conv2d,
    float16_pointwise_conv2d,
    float16_separable_conv2d,
)
from ._quantized_tensors import (
    look_up,
    quantized_bilinear,
    quantized_conv2d,
    quantized_mean,
    quantized_multiply,
    quantized_pool,
    quantized_softmax,
)
from ._tensors import bilinear, gather, global_pool, normalize, pool, softmax
from .quantized import (
    dequantize,
    quantize,
    quantized_add,
    quantized_depthwise_conv2d,
    quantized_pointwise_conv2d,
    quantized_separable_conv2d,
)

__all__ = [
    "activate",
    "bilinear",
    "conv2d",
    "conv2d_transpose",
    "depthwise_conv2d",
    "dequantize",
    "float16_conv2d",
    "float16_depthwise_conv2d",
    "float16_pointwise_conv2d",
    "float16_separable_conv2d",
    "gather",
    "global_pool",
    "look_up",
    "normalize",
    "pointwise_conv2d",
    "pool",
    "quantize",
    "quantized_add",
    "quantized_bilinear",
    "quantized_conv2d",
    "quantized_depthwise_conv2d",
    "quantized_mean",
    "quantized_multiply",
    "quantized_pointwise_conv2d",
    "quantized_pool",
    "quantized_separable_conv2d",
    "quantized_softmax",
    "separable_conv2d",
    "softmax",
    "unary",
]
