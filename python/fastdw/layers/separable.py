"""The separable layer: both halves in one operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from fastdw import _arguments as check
from fastdw import _core
from fastdw._activations import parse_activation
from fastdw._batch_norm import BatchNorm
from fastdw._geometry import Place, Signature, window
from fastdw._isa import chosen_isa
from fastdw.converters import keras, torch
from fastdw.layers._float16_sums import summed
from fastdw.layers._layer import AddingLayer, WithDepthwise, converted
from fastdw.layers._spec import Epilogue, Packed, Spec, checked_half

if TYPE_CHECKING:
    from fastdw._typing import (
        ActivationInput,
        ArrayInput,
        ForeignActivation,
        Ints,
        PaddingInput,
    )


class SeparableSpec(Spec):
    """Of two halves."""

    __slots__ = ()

    def pack(self) -> Packed:
        first, second = self.halves
        depthwise = _core.Depthwise(*first.packable(), self.isa, None, True)
        pointwise = _core.Pointwise(*second.packable(), self.isa)
        before = self.pre_activation
        operator = _core.Operator(
            depthwise,
            pointwise,
            None if before is None or before.argument is None else before.core,
            self.signature.channels_first,
        )
        return Packed((depthwise, pointwise), operator)


def separable_spec(
    kernels: tuple[object, object],
    place: Place,
    data_format: object,
    pre_activation: object,
    depthwise_epilogue: Epilogue,
    epilogue: Epilogue,
    dtype: object = "float32",
) -> SeparableSpec:
    """Check the arguments of a separable convolution."""
    name, kernel = "depthwise_kernel", check.depthwise_kernel(kernels[0])
    matrix = check.pointwise_kernel(kernels[1])
    check.chained({name: kernel, "pointwise_kernel": matrix})
    channels, (middle, filters) = kernel.shape[2], matrix.shape
    layout = check.data_format(data_format)
    view = window(kernel.shape[:2], *place, layout, name)
    before = parse_activation("pre_activation", pre_activation, channels)
    if not (before.argument is None or view.pads_nothing or before.zero_at_zero):
        msg = (
            f"pre_activation must map 0 to 0 where x is padded with zeros, got "
            f"{pre_activation!r} with padding {place[2]!r}"
        )
        raise ValueError(msg)
    kind = check.layer_dtype(dtype)
    halves = (
        checked_half(name, "depthwise_", kernel, middle, depthwise_epilogue, kind),
        checked_half("pointwise_kernel", "", matrix, filters, epilogue, kind),
    )
    signature = Signature(layout, name, channels, filters, view, kind)
    return SeparableSpec(signature, halves, before, chosen_isa())


@final
class SeparableConv2D(WithDepthwise, AddingLayer):
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
    dtype : {"float32", "float16"}
        As of `DepthwiseConv2D`; what lies between the halves is of float32.
    accumulate : {"float32", "float16"}
        As of `DepthwiseConv2D`. With "float16" what lies between the halves is rounded to float16,
        and there is no `pre_activation`.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape or value, and for options that do not go together.
    RuntimeError
        For ``accumulate="float16"`` on a CPU that lacks it.

    See Also
    --------
    separable_conv2d : the same in one call.

    References
    ----------
    ``keras.layers.SeparableConv2D``.

    Examples
    --------
    >>> taps, mixer = np.ones((3, 3, 2), np.float32), np.ones((2, 5), np.float32)
    >>> layer = SeparableConv2D(taps, mixer, padding="same", activation="relu")
    >>> layer(np.ones((1, 4, 4, 2), np.float32)).shape
    (1, 4, 4, 5)
    """

    __slots__ = ()

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
        dtype: str = "float32",
        accumulate: str = "float32",
    ) -> None:
        spec = separable_spec(
            (depthwise_kernel, pointwise_kernel),
            (strides, dilation_rate, padding),
            data_format,
            pre_activation,
            (depthwise_bias, depthwise_batch_norm, depthwise_activation),
            (bias, batch_norm, activation),
            dtype,
        )
        self._prepare(summed(spec, accumulate))

    @property
    def pre_activation(self) -> ActivationInput:
        """What is applied to `x`, as a constructor takes it."""
        activation: ActivationInput = self._settings["pre_activation"]
        return activation

    @classmethod
    def from_keras(
        cls,
        layer: object,
        batch_norm: object = None,
        activation: ForeignActivation = None,
        *,
        pointwise_layer: object = None,
        pre_activation: ForeignActivation = None,
        depthwise_batch_norm: object = None,
        depthwise_activation: ForeignActivation = None,
        padding: PaddingInput | None = None,
        own_activation: bool = True,
    ) -> SeparableConv2D:
        """Take weights and settings of one Keras layer or two, by their attributes.

        Parameters
        ----------
        layer : keras.layers.SeparableConv2D or SeparableConv1D
            A built layer of Keras 2 or 3; with a `pointwise_layer` one that
            `DepthwiseConv2D.from_keras` takes.
        batch_norm, activation, padding, own_activation
            As in `DepthwiseConv2D.from_keras`; so are the errors.
        pointwise_layer : keras.layers.Conv2D or Conv1D, optional
            Of 1 x 1, with strides and groups of 1: the second half, where these are two layers.
        pre_activation : str, tuple, keras.layers.Layer, function or None
            What goes before the layer, as the ReLU in Xception.
        depthwise_batch_norm, depthwise_activation
            What is between the two layers.

        Returns
        -------
        SeparableConv2D
            That computes the same.
        """
        taken = keras.Taken(batch_norm, activation, padding, own_activation)
        between = keras.Taken(depthwise_batch_norm, depthwise_activation, padding, own_activation)
        if pointwise_layer is not None:
            arguments = keras.separable_of_two(layer, pointwise_layer, between, taken)
        elif depthwise_batch_norm is None and depthwise_activation is None:
            arguments = keras.separable(layer, taken)
        else:
            msg = "depthwise_batch_norm and depthwise_activation need a pointwise_layer after them"
            raise ValueError(msg)
        data_format = arguments["data_format"]
        return cls(
            **arguments,
            depthwise_batch_norm=converted(depthwise_batch_norm, BatchNorm.from_keras),
            batch_norm=converted(batch_norm, BatchNorm.from_keras),
            pre_activation=keras.activation("pre_activation", pre_activation, data_format),
        )

    @classmethod
    def from_torch(
        cls,
        depthwise_module: object,
        pointwise_module: object,
        *,
        pre_activation: ForeignActivation = None,
        depthwise_batch_norm: object = None,
        depthwise_activation: ForeignActivation = None,
        batch_norm: object = None,
        activation: ForeignActivation = None,
        padding: PaddingInput | None = None,
        data_format: str = "NCHW",
    ) -> SeparableConv2D:
        """Take weights and settings of two ``torch.nn.Conv2d``, by their attributes.

        Parameters
        ----------
        depthwise_module : torch.nn.Conv2d or Conv1d
            With groups = in_channels.
        pointwise_module : torch.nn.Conv2d or Conv1d
            Of 1 x 1, with stride and groups of 1, unpadded.
        depthwise_batch_norm, batch_norm : BatchNorm or torch.nn.BatchNorm2d, optional
            What follows each module, in evaluation mode.
        pre_activation, depthwise_activation, activation
            What goes before the first, and what follows each BatchNorm; as in
            `DepthwiseConv2D.from_torch`.
        padding, data_format
            As in `DepthwiseConv2D.from_torch`; so are the errors.

        Returns
        -------
        SeparableConv2D
            That computes the same.
        """
        return cls(
            **torch.separable(depthwise_module, pointwise_module, padding),
            pre_activation=torch.activation("pre_activation", pre_activation),
            depthwise_batch_norm=converted(depthwise_batch_norm, BatchNorm.from_torch),
            depthwise_activation=torch.activation("depthwise_activation", depthwise_activation),
            batch_norm=converted(batch_norm, BatchNorm.from_torch),
            activation=torch.activation("activation", activation),
            data_format=data_format,
        )
