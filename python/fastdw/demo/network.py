"""A small MobileNet for 8×8 images of digits, written once for any set of operators.

`FASTDW` builds it of prepared layers, `REFERENCE` of the float64 NumPy twins: what the two compute
is the same network, because it is the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import fastdw
from fastdw import Input, Network, ops, reference

__all__ = [
    "FASTDW",
    "FILE",
    "REFERENCE",
    "DigitNetwork",
    "HeldOut",
    "Operators",
    "as_input",
    "load",
    "whole",
]

FILE = Path(__file__).with_name("digits.npz")
EPSILON = 1e-5  # of every BatchNorm: torch's default, with which the network was trained

Array = npt.NDArray[Any]
Weights = dict[str, dict[str, Any]]
"""Of each layer its arguments: ``weights["stem"]["depthwise_kernel"]``."""
Layer = Callable[..., Array]
"""``layer(x)``, and where there is a pointwise half also ``layer(x, residual=x)``."""


class Operators(NamedTuple):
    """What a network is built of: each takes the arguments of a layer and returns the layer."""

    depthwise: Callable[..., Layer]
    pointwise: Callable[..., Layer]
    separable: Callable[..., Layer]


def _layer_of(function: Callable[..., Array]) -> Callable[..., Layer]:
    """Let a function be used as a layer: its weights now, its images later."""
    return partial(partial, function)


FASTDW = Operators(fastdw.DepthwiseConv2D, fastdw.PointwiseConv2D, fastdw.SeparableConv2D)
REFERENCE = Operators(
    _layer_of(reference.depthwise_conv2d),
    _layer_of(reference.pointwise_conv2d),
    _layer_of(reference.separable_conv2d),
)


class DigitNetwork:
    """Images (N, 8, 8, 1) in, ten logits an image out.

    ========  =====================================================  ===========
    layer     what it is                                             output
    ========  =====================================================  ===========
    stem      separable, eight filters on the one channel            8 × 8 × 24
    refine    separable, its input added                             8 × 8 × 24
    down      separable, stride 2                                    4 × 4 × 48
    expand    pointwise                                              4 × 4 × 96
    project   separable, the input of `expand` added                 4 × 4 × 48
    pool      depthwise, a window as large as the map: each channel  1 × 1 × 48
              is pooled with weights of its own
    classify  pointwise                                              1 × 1 × 10
    ========  =====================================================  ===========

    `expand` and `project` are the inverted residual of MobileNetV2, with the hard swish of
    MobileNetV3. Every layer but the last has BatchNorm, which fastdw folds into its weights.

    Parameters
    ----------
    weights : dict of dict
        Of each layer its kernels, BatchNorm and bias by the name of the argument, as from `load`.
    operators : Operators
        `FASTDW` or `REFERENCE`.
    """

    def __init__(self, weights: Weights, operators: Operators = FASTDW) -> None:
        depthwise, pointwise, separable = operators
        self.stem = separable(
            **weights["stem"], padding=1, depthwise_activation="hard_swish", activation="relu6"
        )
        self.refine = separable(
            **weights["refine"], padding=1, depthwise_activation="relu6", activation="relu6"
        )
        self.down = separable(**weights["down"], strides=2, padding=1, depthwise_activation="relu6")
        self.expand = pointwise(**weights["expand"], activation="hard_swish")
        self.project = separable(**weights["project"], padding=1, depthwise_activation="hard_swish")
        self.pool = depthwise(**weights["pool"], activation="hard_swish")
        self.classify = pointwise(**weights["classify"])

    def __call__(self, images: Any) -> Any:
        """Logits of images (N, 8, 8, 1): (N, 10) of arrays; symbols keep the axes of the map."""
        x = self.stem(images)
        x = self.refine(x, residual=x)
        x = self.down(x)
        x = self.project(self.expand(x), residual=x)
        x = self.classify(self.pool(x))
        return x[:, 0, 0] if isinstance(x, np.ndarray) else x


def whole() -> Network:
    """The network prepared as a whole, with its softmax left out: logits (N, 10)."""
    images = Input((8, 8, 1), "images")
    logits = DigitNetwork(load()[0])(images)
    return Network(images, ops.reshape(logits, (-1, 10)))


class HeldOut(NamedTuple):
    """The images that training never saw: uint8 (N, 8, 8) from 0 to 16, and their labels (N,)."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]


def load(file: Path = FILE) -> tuple[Weights, HeldOut]:
    """Read the trained weights and the held-out digits."""
    weights: Weights = {}
    with np.load(file, allow_pickle=False) as arrays:
        held_out = HeldOut(arrays["images"], arrays["labels"])
        for name in arrays.files:
            layer, _, argument = name.partition(".")
            if argument.endswith("batch_norm"):
                gamma, beta, mean, variance = arrays[name].astype(np.float32)
                norm = fastdw.BatchNorm(gamma, beta, mean, variance, EPSILON)
                weights.setdefault(layer, {})[argument] = norm
            elif argument:
                weights.setdefault(layer, {})[argument] = arrays[name].astype(np.float32)
    return weights, held_out


def as_input(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Turn pixels (N, 8, 8) from 0 to 16 into the (N, 8, 8, 1) from 0 to 1 of the network."""
    return np.divide(images[..., np.newaxis], 16, dtype=np.float32)
