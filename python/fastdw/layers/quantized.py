"""The layers of 8-bit integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from fastdw import _arguments as check
from fastdw._config import get_num_threads
from fastdw._geometry import Signature, window
from fastdw._half8 import checked_sum, half8, packed_depthwise, packed_pointwise
from fastdw._quantization import INT8, Quantization, quantization
from fastdw.layers._float8 import float_activation, real, weights_of, whole
from fastdw.layers._layer import WithDepthwise
from fastdw.layers._layer8 import AddingQuantizedLayer, QuantizedLayer
from fastdw.layers.depthwise import DepthwiseConv2D
from fastdw.layers.pointwise import PointwiseConv2D
from fastdw.layers.separable import SeparableConv2D

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, AnyArray, ArrayInput, Ints, PaddingInput


@final
class QuantizedDepthwiseConv2D(QuantizedLayer):
    """A depthwise convolution of 8-bit integers.

    The bits are those of LiteRT and, for convolutions, of ONNX Runtime; see
    ``reference.quantized_depthwise_conv2d``. Immutable, thread-safe, picklable.

    Parameters
    ----------
    depthwise_kernel : ndarray, (kh, kw, C, m) or (kh, kw, C), int8
        One filter for each of the `m` outputs of each channel.
    kernel_scales : ndarray, (C*m,) or (1,), float32
        What a step of the weights of each output channel is worth.
    input, output : Quantization
        Of `x` and of the result.
    strides, padding, dilation_rate
        As in `depthwise_conv2d`; padding is the zero point.
    bias : ndarray, (C*m,), int32, optional
        Added to the sums, in steps of the input's scale times the kernel's.
    activation : {None, "relu", "relu6", "relu_n1_to_1"} or ("clip", lo, hi)
        Bounds of the real numbers.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape or value; where input scale * kernel scale / output scale is subnormal or
        not below 256, and where a sum could overflow 32 bits.

    Examples
    --------
    >>> q = Quantization(0.5)
    >>> layer = QuantizedDepthwiseConv2D(
    ...     np.ones((3, 3, 2), np.int8), np.ones(1, np.float32), input=q, output=q
    ... )
    >>> layer(np.ones((3, 3, 2), np.int8)).tolist()
    [[[9, 9]]]
    """

    __slots__ = ()

    def __init__(
        self,
        depthwise_kernel: ArrayInput,
        kernel_scales: ArrayInput,
        *,
        input: Quantization,
        output: Quantization,
        strides: Ints = 1,
        padding: PaddingInput = "valid",
        dilation_rate: Ints = 1,
        bias: ArrayInput | None = None,
        activation: ActivationInput = None,
    ) -> None:
        name, kernel = "depthwise_kernel", check.depthwise_kernel(depthwise_kernel, dtype=INT8)
        ends = quantization("input", input), quantization("output", output)
        view = window(kernel.shape[:2], strides, dilation_rate, padding, "NHWC", name)
        half = half8("", "kernel_scales", kernel, kernel_scales, ends, (bias, activation))
        channels, multiplier = kernel.shape[2:]
        self._build(
            Signature("NHWC", name, channels, channels * multiplier, view),
            {name: half},
            (packed_depthwise(half, view.core_steps), None),
            view.arguments | {"input": ends[0], "output": ends[1]},
        )

    def __call__(
        self, x: ArrayInput, *, out: AnyArray | None = None, num_threads: int | None = None
    ) -> Any:
        """Apply the layer.

        Parameters
        ----------
        x : ndarray, (N, H, W, C) or (H, W, C), int8 or uint8; or Symbol
            Of the layer's `input`. Where channels are apart it is copied.
        out, num_threads
            As in `depthwise_conv2d`.

        Returns
        -------
        ndarray, (N, OH, OW, C*m) or (OH, OW, C*m), int8 or uint8
            `out`, where it was given.

        Raises
        ------
        TypeError
            For a wrong Python type or dtype.
        ValueError
            For a wrong shape, value, flag or overlap, and for an empty output.
        """
        threads = get_num_threads() if num_threads is None else num_threads
        result = self._replay(x, None, out, threads)
        return self._call(x, None, out, threads) if result is None else result

    @classmethod
    def from_float(
        cls, layer: DepthwiseConv2D, *, input: Quantization, output: Quantization
    ) -> QuantizedDepthwiseConv2D:
        """Round the weights of a float layer: the largest of a channel becomes 127 steps.

        Parameters
        ----------
        layer : DepthwiseConv2D
            NHWC, with a clamp for an activation.
        input, output : Quantization
            Of `x` and of the result.

        Returns
        -------
        QuantizedDepthwiseConv2D
            Of the same strides, padding, dilation, bias and activation.

        Raises
        ------
        TypeError, ValueError
            For another kind of layer, and as the constructor.
        """
        w = weights_of(layer, DepthwiseConv2D)
        kernel, scales, bias = whole(w["depthwise_kernel"], w["bias"], input, "input")
        return cls(
            kernel, scales, input=input, output=output, strides=layer.strides,
            padding=layer.padding, dilation_rate=layer.dilation_rate, bias=bias,
            activation=layer.activation,
        )  # fmt: skip

    def to_float(self) -> DepthwiseConv2D:
        """The layer of the real numbers that the weights stand for.

        Returns
        -------
        DepthwiseConv2D
            NHWC, of float32.
        """
        a = self._arrays
        kernel, bias = real(a["depthwise_kernel"], a["kernel_scales"], a.get("bias"), self._input)
        return DepthwiseConv2D(
            kernel, self.strides, self.padding, "NHWC", self.dilation_rate, bias=bias,
            activation=float_activation(self.activation),
        )  # fmt: skip


@final
class QuantizedPointwiseConv2D(AddingQuantizedLayer):
    """A pointwise (1 x 1) convolution of 8-bit integers.

    The bits are those of LiteRT; see ``reference.quantized_pointwise_conv2d``. Immutable,
    thread-safe, picklable.

    Parameters
    ----------
    pointwise_kernel : ndarray, (1, 1, Cin, F) or (Cin, F), int8
        The matrix that mixes the channels of a pixel.
    kernel_scales, input, output, bias, activation
        As in `QuantizedDepthwiseConv2D`, with F channels; so are the errors.
    residual, sum : Quantization, optional
        Of a tensor that each call adds to the result, and of what is then returned.

    Examples
    --------
    >>> q = Quantization(0.5)
    >>> layer = QuantizedPointwiseConv2D(
    ...     np.ones((2, 1), np.int8), np.ones(1, np.float32), input=q, output=q
    ... )
    >>> layer(np.full((1, 1, 2), 3, np.int8)).tolist()
    [[[6]]]
    """

    __slots__ = ()

    def __init__(
        self,
        pointwise_kernel: ArrayInput,
        kernel_scales: ArrayInput,
        *,
        input: Quantization,
        output: Quantization,
        bias: ArrayInput | None = None,
        activation: ActivationInput = None,
        residual: Quantization | None = None,
        sum: Quantization | None = None,
    ) -> None:
        name, kernel = "pointwise_kernel", check.pointwise_kernel(pointwise_kernel, dtype=INT8)
        ends = quantization("input", input), quantization("output", output)
        half = half8("", "kernel_scales", kernel, kernel_scales, ends, (bias, activation))
        self._build(
            Signature("NHWC", name, kernel.shape[0], kernel.shape[1], None),
            {name: half},
            (None, packed_pointwise(half)),
            {"input": ends[0], "output": ends[1], "residual": residual, "sum": sum},
            checked_sum(residual, sum, output),
        )

    @classmethod
    def from_float(
        cls, layer: PointwiseConv2D, *, input: Quantization, output: Quantization
    ) -> QuantizedPointwiseConv2D:
        """Round the weights of a float layer: the largest of a channel becomes 127 steps.

        Parameters
        ----------
        layer : PointwiseConv2D
            NHWC, with a clamp for an activation.
        input, output : Quantization
            Of `x` and of the result.

        Returns
        -------
        QuantizedPointwiseConv2D
            As from `QuantizedDepthwiseConv2D.from_float`; so are the errors.
        """
        w = weights_of(layer, PointwiseConv2D)
        if layer.strides != (1, 1):
            msg = f"layer must have strides of 1, got {layer.strides}"
            raise ValueError(msg)
        kernel, scales, bias = whole(w["pointwise_kernel"], w["bias"], input, "input")
        return cls(
            kernel, scales, input=input, output=output, bias=bias, activation=layer.activation
        )

    def to_float(self) -> PointwiseConv2D:
        """The layer of the real numbers that the weights stand for, without a residual.

        Returns
        -------
        PointwiseConv2D
            NHWC, of float32.
        """
        a = self._arrays
        kernel, bias = real(a["pointwise_kernel"], a["kernel_scales"], a.get("bias"), self._input)
        return PointwiseConv2D(kernel, bias=bias, activation=float_activation(self.activation))


@final
class QuantizedSeparableConv2D(WithDepthwise, AddingQuantizedLayer):
    """A depthwise and a pointwise convolution of 8-bit integers in one operator.

    The bits are those of the two one after the other. Immutable, thread-safe, picklable.

    Parameters
    ----------
    depthwise_kernel, depthwise_scales, strides, padding, dilation_rate
        As in `QuantizedDepthwiseConv2D`; so are the errors.
    pointwise_kernel, pointwise_scales : ndarray
        As in `QuantizedPointwiseConv2D`.
    input, output : Quantization
        Of `x` and of the result.
    middle : Quantization
        Of what lies between the halves.
    depthwise_bias, depthwise_activation
        As `bias` and `activation` in `QuantizedDepthwiseConv2D`.
    bias, activation, residual, sum
        As in `QuantizedPointwiseConv2D`.

    Examples
    --------
    >>> q, one = Quantization(0.5), np.ones(1, np.float32)
    >>> layer = QuantizedSeparableConv2D(
    ...     np.ones((3, 3, 2), np.int8), one, np.ones((2, 4), np.int8), one,
    ...     input=q, middle=q, output=q, padding="same",
    ... )
    >>> layer(np.ones((5, 5, 2), np.int8)).shape
    (5, 5, 4)
    """

    __slots__ = ()

    def __init__(
        self,
        depthwise_kernel: ArrayInput,
        depthwise_scales: ArrayInput,
        pointwise_kernel: ArrayInput,
        pointwise_scales: ArrayInput,
        *,
        input: Quantization,
        middle: Quantization,
        output: Quantization,
        strides: Ints = 1,
        padding: PaddingInput = "valid",
        dilation_rate: Ints = 1,
        depthwise_bias: ArrayInput | None = None,
        depthwise_activation: ActivationInput = None,
        bias: ArrayInput | None = None,
        activation: ActivationInput = None,
        residual: Quantization | None = None,
        sum: Quantization | None = None,
    ) -> None:
        name, kernel = "depthwise_kernel", check.depthwise_kernel(depthwise_kernel, dtype=INT8)
        matrix = check.pointwise_kernel(pointwise_kernel, dtype=INT8)
        check.chained({name: kernel, "pointwise_kernel": matrix})
        view = window(kernel.shape[:2], strides, dilation_rate, padding, "NHWC", name)
        ends = quantization("input", input), quantization("middle", middle)
        first = half8(
            "depthwise_", "depthwise_scales", kernel, depthwise_scales, ends,
            (depthwise_bias, depthwise_activation),
        )  # fmt: skip
        last = ends[1], quantization("output", output)
        second = half8("", "pointwise_scales", matrix, pointwise_scales, last, (bias, activation))
        settings: dict[str, Any] = view.arguments | {
            "input": input, "middle": middle, "output": output, "residual": residual, "sum": sum,
        }  # fmt: skip
        self._build(
            Signature("NHWC", name, kernel.shape[2], matrix.shape[1], view),
            {name: first, "pointwise_kernel": second},
            (packed_depthwise(first, view.core_steps), packed_pointwise(second)),
            settings,
            checked_sum(residual, sum, output),
        )

    @classmethod
    def from_float(
        cls,
        layer: SeparableConv2D,
        *,
        input: Quantization,
        middle: Quantization,
        output: Quantization,
    ) -> QuantizedSeparableConv2D:
        """Round the weights of a float layer: the largest of a channel becomes 127 steps.

        Parameters
        ----------
        layer : SeparableConv2D
            NHWC, with a clamp for each activation.
        input, middle, output : Quantization
            Of `x`, of what lies between the halves, and of the result.

        Returns
        -------
        QuantizedSeparableConv2D
            As from `QuantizedDepthwiseConv2D.from_float`; so are the errors.
        """
        w = weights_of(layer, SeparableConv2D)
        first = whole(w["depthwise_kernel"], w["depthwise_bias"], input, "input")
        second = whole(w["pointwise_kernel"], w["bias"], middle, "middle")
        return cls(
            *first[:2], *second[:2], input=input, middle=middle, output=output,
            strides=layer.strides, padding=layer.padding, dilation_rate=layer.dilation_rate,
            depthwise_bias=first[2], depthwise_activation=layer.depthwise_activation,
            bias=second[2], activation=layer.activation,
        )  # fmt: skip

    def to_float(self) -> SeparableConv2D:
        """The layer of the real numbers that the weights stand for, without a residual.

        Returns
        -------
        SeparableConv2D
            NHWC, of float32.
        """
        a, middle = self._arrays, self._settings["middle"]
        first = real(
            a["depthwise_kernel"], a["depthwise_scales"], a.get("depthwise_bias"), self._input
        )
        second = real(a["pointwise_kernel"], a["pointwise_scales"], a.get("bias"), middle)
        before = float_activation(self.depthwise_activation)
        return SeparableConv2D(
            first[0], second[0], self.strides, self.padding, "NHWC", self.dilation_rate,
            depthwise_bias=first[1], depthwise_activation=before, bias=second[1],
            activation=float_activation(self.activation),
        )  # fmt: skip
