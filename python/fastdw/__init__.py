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

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastdw import reference
from fastdw._batch_norm import BatchNorm
from fastdw._config import get_num_threads, set_num_threads, show_config, threads
from fastdw._functional import conv2d, depthwise_conv2d, pointwise_conv2d, separable_conv2d
from fastdw._quantization import Quantization, dequantize, quantize
from fastdw.layers import (
    Conv2D,
    Dense,
    DepthwiseConv2D,
    InvertedResidual,
    PointwiseConv2D,
    QuantizedDepthwiseConv2D,
    QuantizedPointwiseConv2D,
    QuantizedSeparableConv2D,
    SeparableConv2D,
    SqueezeExcite,
)

if TYPE_CHECKING:
    from fastdw import ops
    from fastdw.network._network import Network
    from fastdw.network._record import Input

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
    "QuantizedPointwiseConv2D",
    "QuantizedSeparableConv2D",
    "SeparableConv2D",
    "SqueezeExcite",
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

# Networks are imported when they are first named: whoever calls layers does not wait for them.
_LATER = {"Input": "network._record", "Network": "network._network", "ops": "ops"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            msg = f"module 'fastdw' has no attribute {name!r}"
            raise AttributeError(msg)
        module = import_module(f"fastdw.{_LATER[name]}")
        value = globals()[name] = module if name == "ops" else getattr(module, name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
