"""The pointwise layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from fastdw import _arguments as check
from fastdw import _core
from fastdw._batch_norm import BatchNorm
from fastdw._geometry import Signature, window
from fastdw._isa import chosen_isa
from fastdw.converters import keras, torch
from fastdw.layers._float16_sums import Float16Sums, summed
from fastdw.layers._layer import AddingLayer, converted
from fastdw.layers._spec import Epilogue, Packed, Spec, checked_half

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, ArrayInput, ForeignActivation, Ints


class PointwiseSpec(Spec):
    """Of one half."""

    __slots__ = ()

    def pack(self) -> Packed:
        (half,) = self.halves
        weights = _core.Pointwise(*half.packable(), self.isa)
        operator = _core.Operator(None, weights, None, self.signature.channels_first)
        return Packed((weights,), operator)

    def settings(self) -> dict[str, Any]:
        return _of_one_tap(super().settings())


class PointwiseFloat16Sums(Float16Sums):
    """The same with sums of float16."""

    __slots__ = ()

    def settings(self) -> dict[str, Any]:
        return _of_one_tap(super().settings())


def _of_one_tap(settings: dict[str, Any]) -> dict[str, Any]:
    """The window of one tap is its strides, and where these are 1 there is none."""
    return {k: v for k, v in settings.items() if k not in ("padding", "dilation_rate")}


def pointwise_spec(
    pointwise_kernel: object,
    data_format: object,
    strides: object,
    epilogue: Epilogue,
    dtype: object = "float32",
) -> PointwiseSpec:
    """Check the arguments of a pointwise convolution."""
    name, kernel = "pointwise_kernel", check.pointwise_kernel(pointwise_kernel)
    channels, filters = kernel.shape
    layout = check.data_format(data_format)
    kind = check.layer_dtype(dtype)
    half = checked_half(name, "", kernel, filters, epilogue, kind)
    view = window((1, 1), strides, 1, "valid", layout, name)
    place = None if view.strides == (1, 1) else view
    signature = Signature(layout, name, channels, filters, place, kind)
    return PointwiseSpec(signature, (half,), None, chosen_isa())


@final
class PointwiseConv2D(AddingLayer):
    """A pointwise (1 x 1) convolution with its weights prepared; see `pointwise_conv2d`.

    Immutable, thread-safe, picklable, and independent of the arrays that it was built from.

    Parameters
    ----------
    pointwise_kernel : ndarray, (1, 1, Cin, F) or (Cin, F), float32
        The matrix that mixes the channels of a pixel.
    data_format, strides, bias, batch_norm, activation
        As in `pointwise_conv2d`.
    dtype, accumulate : {"float32", "float16"}
        As of `DepthwiseConv2D`.

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
    pointwise_conv2d : the same in one call.

    References
    ----------
    ``keras.layers.Conv2D`` with a kernel of 1 x 1.

    Examples
    --------
    >>> layer = PointwiseConv2D(np.ones((2, 5), np.float32), activation="relu6")
    >>> x = np.ones((1, 4, 4, 2), np.float32)
    >>> float(layer(x, residual=layer(x)).max())
    4.0
    """

    __slots__ = ()

    def __init__(
        self,
        pointwise_kernel: ArrayInput,
        data_format: str = "NHWC",
        *,
        strides: Ints = 1,
        bias: ArrayInput | None = None,
        batch_norm: BatchNorm | None = None,
        activation: ActivationInput = None,
        dtype: str = "float32",
        accumulate: str = "float32",
    ) -> None:
        epilogue = bias, batch_norm, activation
        spec = pointwise_spec(pointwise_kernel, data_format, strides, epilogue, dtype)
        self._prepare(summed(spec, accumulate, PointwiseFloat16Sums))

    @classmethod
    def from_keras(
        cls,
        layer: object,
        batch_norm: object = None,
        activation: ForeignActivation = None,
        *,
        own_activation: bool = True,
    ) -> PointwiseConv2D:
        """Take weights and settings of a Keras ``Conv2D`` of 1 x 1, by its attributes.

        Parameters
        ----------
        layer : keras.layers.Conv2D or Conv1D
            A built layer of Keras 2 or 3 with groups of 1.
        batch_norm, activation, own_activation
            As in `DepthwiseConv2D.from_keras`; so are the errors.

        Returns
        -------
        PointwiseConv2D
            That computes the same.
        """
        taken = keras.Taken(batch_norm, activation, own_activation=own_activation)
        arguments = keras.pointwise(layer, taken)
        return cls(**arguments, batch_norm=converted(batch_norm, BatchNorm.from_keras))

    @classmethod
    def from_torch(
        cls,
        module: object,
        *,
        batch_norm: object = None,
        activation: ForeignActivation = None,
        data_format: str = "NCHW",
    ) -> PointwiseConv2D:
        """Take weights of a ``torch.nn.Conv2d`` of 1 x 1, by its attributes.

        Parameters
        ----------
        module : torch.nn.Conv2d or Conv1d
            With groups of 1, unpadded.
        batch_norm, activation, data_format
            As in `DepthwiseConv2D.from_torch`; so are the errors.

        Returns
        -------
        PointwiseConv2D
            That computes the same.
        """
        return cls(
            **torch.pointwise(module),
            batch_norm=converted(batch_norm, BatchNorm.from_torch),
            activation=torch.activation("activation", activation),
            data_format=data_format,
        )
