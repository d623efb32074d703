"""Prepared layers: weights packed once, for many calls."""

from fastdw import _layers
from fastdw.layers.conv import Conv2D
from fastdw.layers.depthwise import DepthwiseConv2D
from fastdw.layers.pointwise import PointwiseConv2D
from fastdw.layers.separable import SeparableConv2D

__all__ = ["Conv2D", "DepthwiseConv2D", "PointwiseConv2D", "SeparableConv2D"]

_layers.CLASSES.update(
    {cls.__name__: cls for cls in (Conv2D, DepthwiseConv2D, PointwiseConv2D, SeparableConv2D)}
)
