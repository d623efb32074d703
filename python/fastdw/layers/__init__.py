"""Prepared layers: weights packed once, for many calls."""

from typing import TYPE_CHECKING

from fastdw._lazy import attributes

if TYPE_CHECKING:
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
    from fastdw.layers.quantized_inverted import QuantizedInvertedResidual
    from fastdw.layers.separable import SeparableConv2D
    from fastdw.layers.squeeze import SqueezeExcite

__all__ = [
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "InvertedResidual",
    "PointwiseConv2D",
    "QuantizedDepthwiseConv2D",
    "QuantizedInvertedResidual",
    "QuantizedPointwiseConv2D",
    "QuantizedSeparableConv2D",
    "SeparableConv2D",
    "SqueezeExcite",
]

if not TYPE_CHECKING:
    __getattr__ = attributes(
        __name__,
        {
            "conv": ["Conv2D"],
            "dense": ["Dense"],
            "depthwise": ["DepthwiseConv2D"],
            "inverted": ["InvertedResidual"],
            "pointwise": ["PointwiseConv2D"],
            "quantized": [
                name for name in __all__ if name.startswith("Quantized") and "Conv" in name
            ],
            "quantized_inverted": ["QuantizedInvertedResidual"],
            "separable": ["SeparableConv2D"],
            "squeeze": ["SqueezeExcite"],
        },
    )
