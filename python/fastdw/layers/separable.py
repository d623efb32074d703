"""The separable layer: both halves in one operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from fastdw import _arguments as check
from fastdw import _converters, _core
from fastdw._activations import parse_activation
from fastdw._batch_norm import BatchNorm
from fastdw._config import get_num_threads
from fastdw._geometry import window
from fastdw.layers._layer import Layer, checked_half, converted

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, ArrayInput, Float32, Ints, PaddingInput


@final
class SeparableConv2D(Layer):
    """A depthwise and a pointwise convolution, fused and prepared; see `separable_conv2d`.

    Immutable, thread-safe, picklable, and independent of the arrays that it was built from.

    Parameters
    ----------
    depthwise_kernel : ndarray, (kh, kw, C, m) or (kh, kw, C), float32
        One filter for each of the `m` outputs of each channel.
    pointwise_kernel : ndarray, (1, 1, C*m, F) or (C*m, F), float32
        The matrix that mixes the channels of a pixel.
    strides, padding, data_format, dilation_rate
        As in `separable_conv2d`.
    pre_activation, depthwise_bias, depthwise_batch_norm, depthwise_activation
        As in `separable_conv2d`.
    bias, batch_norm, activation
        As in `separable_conv2d`.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape or value.

    See Also
    --------
    separable_conv2d : the same in one call.

    References
    ----------
    ``keras.layers.SeparableConv2D``.
    """

    __slots__ = ("_depthwise", "_pointwise")

    _depthwise: _core.Depthwise
    _pointwise: _core.Pointwise

    def __init__(
        self,
        depthwise_kernel: ArrayInput,
        pointwise_kernel: ArrayInput,
        strides: Ints = 1,
        padding: PaddingInput = "valid",
        data_format: str = "NHWC",
        dilation_rate: Ints = 1,
        *,
        pre_activation: ActivationInput = None,
        depthwise_bias: ArrayInput | None = None,
        depthwise_batch_norm: BatchNorm | None = None,
        depthwise_activation: ActivationInput = None,
        bias: ArrayInput | None = None,
        batch_norm: BatchNorm | None = None,
        activation: ActivationInput = None,
    ) -> None:
        kernel = check.depthwise_kernel(depthwise_kernel)
        matrix = check.pointwise_kernel(pointwise_kernel)
        _, _, channels, multiplier = kernel.shape
        middle, filters = matrix.shape
        if middle != channels * multiplier:
            msg = (
                f"pointwise_kernel has {middle} input channels, but depthwise_kernel gives "
                f"{channels * multiplier} (depthwise_kernel.shape = {kernel.shape})"
            )
            raise ValueError(msg)
        layout = check.data_format(data_format)
        view = window(kernel.shape[:2], strides, dilation_rate, padding, layout)
        before = parse_activation("pre_activation", pre_activation, channels)
        if not (before.zero_at_zero or view.pads_nothing):
            msg = (
                f"pre_activation must map 0 to 0 where x is padded with zeros, got "
                f"{pre_activation!r} with padding {padding!r}"
            )
            raise ValueError(msg)
        depthwise_half = checked_half(
            kernel,
            middle,
            "depthwise_",
            depthwise_bias,
            depthwise_batch_norm,
            depthwise_activation,
        )
        pointwise_half = checked_half(matrix, filters, "", bias, batch_norm, activation)
        self._set(
            _channels=channels,
            _filters=filters,
            _data_format=layout,
            _window=view,
            _kernels={"depthwise_kernel": kernel.shape, "pointwise_kernel": matrix.shape},
            _settings=view.arguments
            | {
                "data_format": layout,
                "pre_activation": before.argument,
                "depthwise_activation": depthwise_half.activation.argument,
                "activation": pointwise_half.activation.argument,
            },
            _num_parameters=depthwise_half.num_parameters + pointwise_half.num_parameters,
            _depthwise=_core.Depthwise(*depthwise_half.packable(), fused=True),
            _pointwise=_core.Pointwise(*pointwise_half.packable()),
        )
        self._prepare(
            self._depthwise, self._pointwise, None if before.argument is None else before.core
        )

    def __call__(
        self,
        x: ArrayInput,
        residual: ArrayInput | None = None,
        out: Float32 | None = None,
        num_threads: int | None = None,
    ) -> Float32:
        """Apply the layer.

        Parameters
        ----------
        x : ndarray, (N, H, W, C) or (H, W, C), float32
            In the order of the layer's data_format.
        residual, out, num_threads
            As in `separable_conv2d`.

        Returns
        -------
        ndarray, (N, OH, OW, F) or (OH, OW, F), float32
            `out`, where it was given.

        Raises
        ------
        TypeError
            For a wrong Python type or dtype.
        ValueError
            For a wrong shape, value, flag or overlap, and for an empty output.
        """
        threads = get_num_threads() if num_threads is None else num_threads
        result = self._replay(x, residual, out, threads)
        return self._call(x, residual, out, threads) if result is None else result

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weights."""
        return self._depthwise.nbytes + self._pointwise.nbytes

    @classmethod
    def from_keras(
        cls,
        layer: object,
        batch_norm: object = None,
        activation: ActivationInput = None,
        *,
        pre_activation: ActivationInput = None,
    ) -> SeparableConv2D:
        """Take weights and settings of a Keras ``SeparableConv2D``, by its attributes.

        Parameters
        ----------
        layer : keras.layers.SeparableConv2D
            A built layer of Keras 2 or 3.
        batch_norm, activation
            As in `DepthwiseConv2D.from_keras`.
        pre_activation : str, tuple or None
            What goes before the layer, as the ReLU in Xception.

        Raises
        ------
        TypeError
            For another kind of object.
        ValueError
            For a layer that cannot be expressed, with the reason.
        """
        arguments = _converters.keras_separable(layer, batch_norm, activation)
        return cls(
            **arguments,
            batch_norm=converted(batch_norm, BatchNorm.from_keras),
            pre_activation=pre_activation,
        )

    @classmethod
    def from_torch(
        cls,
        depthwise_module: object,
        pointwise_module: object,
        *,
        pre_activation: ActivationInput = None,
        depthwise_batch_norm: object = None,
        depthwise_activation: ActivationInput = None,
        batch_norm: object = None,
        activation: ActivationInput = None,
        data_format: str = "NCHW",
    ) -> SeparableConv2D:
        """Take weights and settings of two ``torch.nn.Conv2d``, by their attributes.

        Parameters
        ----------
        depthwise_module : torch.nn.Conv2d
            With groups = in_channels.
        pointwise_module : torch.nn.Conv2d
            Of 1 x 1, with stride and groups of 1, unpadded.
        depthwise_batch_norm, batch_norm : BatchNorm or torch.nn.BatchNorm2d, optional
            What follows each module, in evaluation mode.
        pre_activation, depthwise_activation, activation : str, tuple or None
            What goes before the first, and what follows each BatchNorm.
        data_format : {"NCHW", "channels_first", "NHWC", "channels_last"}
            Of the layer's `x`; the weights are the same for both.

        Raises
        ------
        TypeError
            For another kind of object.
        ValueError
            For a module that cannot be expressed, with the reason.
        """
        arguments = _converters.torch_depthwise(depthwise_module)
        return cls(
            depthwise_bias=arguments.pop("bias"),
            **arguments,
            **_converters.torch_pointwise(pointwise_module),
            pre_activation=pre_activation,
            depthwise_batch_norm=converted(depthwise_batch_norm, BatchNorm.from_torch),
            depthwise_activation=depthwise_activation,
            batch_norm=converted(batch_norm, BatchNorm.from_torch),
            activation=activation,
            data_format=data_format,
        )

    def _weights(self) -> dict[str, Float32]:
        kernel, depthwise_bias = self._depthwise.weights()
        matrix, bias = self._pointwise.weights()
        return {
            "depthwise_kernel": kernel,
            "pointwise_kernel": matrix,
            "depthwise_bias": depthwise_bias,
            "bias": bias,
        }
