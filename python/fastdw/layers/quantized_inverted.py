"""The inverted residual of 8-bit integers."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from fastdw import _arguments as check
from fastdw import _core
from fastdw._geometry import Signature, window
from fastdw._half8 import Half8, checked_sum, half8, packed_depthwise, packed_pointwise
from fastdw._quantization import INT8, Quantization, quantization
from fastdw.layers._float8 import float_activation, real, weights_of, whole
from fastdw.layers._layer import Expanding
from fastdw.layers._layer8 import AddingQuantizedLayer
from fastdw.layers.inverted import NAMES, PREFIXES, InvertedResidual

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, AnyArray, ArrayInput, Ints, PaddingInput

_SCALES = ("expand_scales", "depthwise_scales", "pointwise_scales")


class _Pair(NamedTuple):
    """The expansion, then the rest, as one operator of the core."""

    first: _core.Operator8
    last: _core.Operator8
    channels: int
    dtype: np.dtype[Any]

    def run(self, x: AnyArray, residual: Any, out: AnyArray, pads: Any, threads: int) -> None:
        middle = np.empty((*x.shape[:3], self.channels), self.dtype)
        self.first.run(x, None, middle, (0, 0), threads)
        self.last.run(middle, residual, out, pads, threads)

    def remember(self, x: tuple[int, ...], out: tuple[int, ...], pads: Any) -> None:
        """Nothing: there is always something to allocate."""

    def replay(self, x: object, residual: object, out: object, threads: object) -> None:
        """No call is like one before."""

    def plan(self, x: tuple[int, ...], out: tuple[int, ...], threads: int) -> str:
        middle = (*x[:-1], self.channels)
        return self.first.plan(x, middle, threads) + self.last.plan(middle, out, threads)


@final
class QuantizedInvertedResidual(Expanding, AddingQuantizedLayer):
    """The block of MobileNetV2 in 8-bit integers: 1 x 1 to more channels, depthwise, 1 x 1 to few.

    The bits are those of the three one after the other. Immutable, thread-safe, picklable.

    Parameters
    ----------
    expand_kernel, expand_scales : ndarray
        As in `QuantizedPointwiseConv2D`.
    depthwise_kernel, depthwise_scales, pointwise_kernel, pointwise_scales : ndarray
        As in `QuantizedSeparableConv2D`; so are the errors.
    input, expanded, middle, output : Quantization
        Of `x`, and of what each of the three gives.
    strides, padding, dilation_rate
        Of the depthwise convolution.
    expand_bias, expand_activation, depthwise_bias, depthwise_activation, bias, activation
        After each of the three, as `bias` and `activation` in `QuantizedDepthwiseConv2D`.
    residual, sum : Quantization, optional
        As in `QuantizedPointwiseConv2D`: ``layer(x, residual=x)``.

    Examples
    --------
    >>> q, one = Quantization(0.5), np.ones(1, np.float32)
    >>> matrix, taps = np.ones((2, 12), np.int8), np.ones((3, 3, 12), np.int8)
    >>> layer = QuantizedInvertedResidual(
    ...     matrix, one, taps, one, matrix.T, one,
    ...     input=q, expanded=q, middle=q, output=q, padding="same", residual=q, sum=q,
    ... )
    >>> x = np.ones((5, 5, 2), np.int8)
    >>> layer(x, residual=x).shape
    (5, 5, 2)
    """

    __slots__ = ()

    def __init__(
        self,
        expand_kernel: ArrayInput,
        expand_scales: ArrayInput,
        depthwise_kernel: ArrayInput,
        depthwise_scales: ArrayInput,
        pointwise_kernel: ArrayInput,
        pointwise_scales: ArrayInput,
        *,
        input: Quantization,
        expanded: Quantization,
        middle: Quantization,
        output: Quantization,
        strides: Ints = 1,
        padding: PaddingInput = "valid",
        dilation_rate: Ints = 1,
        expand_bias: ArrayInput | None = None,
        expand_activation: ActivationInput = None,
        depthwise_bias: ArrayInput | None = None,
        depthwise_activation: ActivationInput = None,
        bias: ArrayInput | None = None,
        activation: ActivationInput = None,
        residual: Quantization | None = None,
        sum: Quantization | None = None,
    ) -> None:
        kernels = (
            check.pointwise_kernel(expand_kernel, NAMES[0], INT8),
            check.depthwise_kernel(depthwise_kernel, dtype=INT8),
            check.pointwise_kernel(pointwise_kernel, dtype=INT8),
        )
        check.chained(dict(zip(NAMES, kernels, strict=True)))
        view = window(kernels[1].shape[:2], strides, dilation_rate, padding, "NHWC", NAMES[1])
        given = {"input": input, "expanded": expanded, "middle": middle, "output": output}
        tensors = [quantization(name, q) for name, q in given.items()]
        scales = (expand_scales, depthwise_scales, pointwise_scales)
        epilogues = (
            (expand_bias, expand_activation),
            (depthwise_bias, depthwise_activation),
            (bias, activation),
        )
        halves: dict[str, Half8] = {}
        for i, name in enumerate(NAMES):
            ends = tensors[i], tensors[i + 1]
            halves[name] = half8(PREFIXES[i], _SCALES[i], kernels[i], scales[i], ends, epilogues[i])
        first, taps, last = halves.values()
        settings: dict[str, Any] = view.arguments | given | {"residual": residual, "sum": sum}
        self._build(
            Signature("NHWC", NAMES[0], kernels[0].shape[0], kernels[2].shape[1], view),
            halves,
            (
                packed_pointwise(first),
                packed_depthwise(taps, view.core_steps),
                packed_pointwise(last),
            ),
            settings,
            checked_sum(residual, sum, output),
        )

    def _made(
        self, halves: dict[str, Half8], parts: tuple[Any, ...], addition: tuple[int, ...] | None
    ) -> Any:
        expand, taps, project = parts
        first = _core.Operator8(None, expand)
        last = _core.Operator8(taps, project, addition)
        half = halves[NAMES[0]]
        return _Pair(first, last, half.kernel.shape[1], np.dtype(half.ends[1].dtype))

    def macs(self, input_shape: tuple[int, ...]) -> int:
        """Multiply-accumulates for an input of a shape.

        Parameters
        ----------
        input_shape : tuple of int
            As in `InvertedResidual.macs`; so are the result and the errors.
        """
        shape, plan = self._planned(input_shape)
        expand, *others = map(prod, self._kernels.values())
        pixels, results = prod(shape[:-1]), prod(plan.shape[:-1])
        return pixels * expand + results * sum(others)

    @classmethod
    def from_float(
        cls,
        layer: InvertedResidual,
        *,
        input: Quantization,
        expanded: Quantization,
        middle: Quantization,
        output: Quantization,
    ) -> QuantizedInvertedResidual:
        """Round the weights of a float layer: the largest of a channel becomes 127 steps.

        Parameters
        ----------
        layer : InvertedResidual
            NHWC, without a gate, with a clamp for each activation.
        input, expanded, middle, output : Quantization
            As in the constructor.

        Returns
        -------
        QuantizedInvertedResidual
            As from `QuantizedDepthwiseConv2D.from_float`; so are the errors.
        """
        w = weights_of(layer, InvertedResidual)
        if layer.squeeze_excite is not None:
            msg = "layer must have no squeeze_excite"
            raise ValueError(msg)
        given = {"input": input, "expanded": expanded, "middle": middle}
        arguments: dict[str, Any] = {**given, "output": output}
        for i, (word, q) in enumerate(given.items()):
            name, prefix = NAMES[i], PREFIXES[i]
            kernel, scales, bias = whole(w[name], w[f"{prefix}bias"], q, word)
            arguments |= {name: kernel, _SCALES[i]: scales, f"{prefix}bias": bias}
            arguments[f"{prefix}activation"] = layer._settings[f"{prefix}activation"]
        names = ("strides", "padding", "dilation_rate")
        return cls(**arguments, **{name: getattr(layer, name) for name in names})

    def to_float(self) -> InvertedResidual:
        """The layer of the real numbers that the weights stand for, without a residual.

        Returns
        -------
        InvertedResidual
            NHWC, of float32.
        """
        a = self._arrays
        tensors = [self._settings[name] for name in ("input", "expanded", "middle")]
        names = ("strides", "padding", "dilation_rate")
        arguments: dict[str, Any] = {name: getattr(self, name) for name in names}
        for i, name in enumerate(NAMES):
            prefix = PREFIXES[i]
            kernel, bias = real(a[name], a[_SCALES[i]], a.get(f"{prefix}bias"), tensors[i])
            activation = float_activation(self._settings[f"{prefix}activation"])
            arguments |= {name: kernel, f"{prefix}bias": bias, f"{prefix}activation": activation}
        return InvertedResidual(**arguments)
