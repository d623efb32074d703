"""Depthwise-separable convolution for NumPy arrays, in hand-written SIMD.

>>> import numpy as np
>>> from fastdw import separable_conv2d
>>> x, depthwise_kernel = np.ones((1, 8, 8, 4), np.float32), np.ones((3, 3, 4), np.float32)
>>> pointwise_kernel = np.ones((4, 6), np.float32)
>>> separable_conv2d(x, depthwise_kernel, pointwise_kernel, padding="same").shape
(1, 8, 8, 6)
"""

try:
    from fastdw import _core
except ImportError as error:
    _msg = (
        f"fastdw's compiled module fastdw._core cannot be imported: {error}; if it is missing or "
        "does not fit this Python, install the package with pip (in a checkout: pip install .)"
    )
    raise ImportError(_msg) from error

from typing import TYPE_CHECKING

from fastdw._config import get_num_threads, set_num_threads, show_config, threads
from fastdw._lazy import attributes

if TYPE_CHECKING:
    from fastdw import ops, reference
    from fastdw._batch_norm import BatchNorm
    from fastdw._functional import conv2d, depthwise_conv2d, pointwise_conv2d, separable_conv2d
    from fastdw._quantization import Quantization, dequantize, quantize
    from fastdw.layers import (
        Conv2D,
        Dense,
        DepthwiseConv2D,
        InvertedResidual,
        PointwiseConv2D,
        QuantizedDepthwiseConv2D,
        QuantizedInvertedResidual,
        QuantizedPointwiseConv2D,
        QuantizedSeparableConv2D,
        SeparableConv2D,
        SqueezeExcite,
    )
    from fastdw.network._graph import TensorSpec
    from fastdw.network._network import Network
    from fastdw.network._record import Input
    from fastdw.network._symbol import Symbol

__version__: str = _core.config()["version"]

__all__ = [
    "BatchNorm",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Input",
    "InvertedResidual",
    "Network",
    "PointwiseConv2D",
    "Quantization",
    "QuantizedDepthwiseConv2D",
    "QuantizedInvertedResidual",
    "QuantizedPointwiseConv2D",
    "QuantizedSeparableConv2D",
    "SeparableConv2D",
    "SqueezeExcite",
    "Symbol",
    "TensorSpec",
    "__version__",
    "conv2d",
    "depthwise_conv2d",
    "dequantize",
    "get_num_threads",
    "ops",
    "pointwise_conv2d",
    "quantize",
    "reference",
    "separable_conv2d",
    "set_num_threads",
    "show_config",
    "threads",
]

if not TYPE_CHECKING:
    __getattr__ = attributes(
        __name__,
        {
            "_batch_norm": ["BatchNorm"],
            "_functional": [name for name in __all__ if name.endswith("conv2d")],
            "_quantization": ["Quantization", "dequantize", "quantize"],
            "layers": [
                name for name in __all__ if name.endswith(("Conv2D", "Dense", "Residual", "Excite"))
            ],
            "network._graph": ["TensorSpec"],
            "network._network": ["Network"],
            "network._record": ["Input"],
            "network._symbol": ["Symbol"],
            "ops": [],
            "reference": [],
        },
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
