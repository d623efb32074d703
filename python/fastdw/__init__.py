"""Depthwise-separable convolution for NumPy arrays, in hand-written SIMD.

>>> import numpy as np
>>> from fastdw import separable_conv2d
>>> y = separable_conv2d(x, depthwise_kernel, pointwise_kernel, padding="same")
"""

try:
    from fastdw import _core
except ImportError as error:
    _msg = (
        f"fastdw's compiled module fastdw._core cannot be imported: {error}; if it is missing or "
        "does not fit this Python, install the package with pip (in a checkout: pip install .)"
    )
    raise ImportError(_msg) from error

from fastdw import reference
from fastdw._batch_norm import BatchNorm
from fastdw._config import get_num_threads, set_num_threads, show_config, threads
from fastdw._functional import conv2d, depthwise_conv2d, pointwise_conv2d, separable_conv2d
from fastdw.layers import Conv2D, DepthwiseConv2D, PointwiseConv2D, SeparableConv2D

__version__: str = _core.config()["version"]

__all__ = [
    "BatchNorm",
    "Conv2D",
    "DepthwiseConv2D",
    "PointwiseConv2D",
    "SeparableConv2D",
    "__version__",
    "conv2d",
    "depthwise_conv2d",
    "get_num_threads",
    "pointwise_conv2d",
    "reference",
    "separable_conv2d",
    "set_num_threads",
    "show_config",
    "threads",
]
