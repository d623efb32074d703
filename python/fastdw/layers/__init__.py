"""Prepared layers: weights packed once, for many calls."""

from fastdw import _layers
from fastdw.layers.conv import Conv2D
from fastdw.layers.dense import Dense
from fastdw.layers.depthwise import DepthwiseConv2D
from fastdw.layers.inverted import InvertedResidual
from fastdw.layers.pointwise import PointwiseConv2D
from fastdw.layers.quantized import (
    QuantizedDepthwiseConv2D,
    QuantizedPointwiseConv2D,
    QuantizedSeparableConv2D,
)
from fastdw.layers.separable import SeparableConv2D
from fastdw.layers.squeeze import SqueezeExcite

__all__ = [
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "InvertedResidual",
    "PointwiseConv2D",
    "QuantizedDepthwiseConv2D",
    "QuantizedPointwiseConv2D",
    "QuantizedSeparableConv2D",
    "SeparableConv2D",
    "SqueezeExcite",
]

_CLASSES = (
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
_layers.CLASSES.update({cls.__name__: cls for cls in _CLASSES})
