"""The pointwise layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from fastdw import _arguments as check
from fastdw import _converters, _core
from fastdw._batch_norm import BatchNorm
from fastdw._config import get_num_threads
from fastdw.layers._layer import Layer, checked_half, converted

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, ArrayInput, Float32


@final
class PointwiseConv2D(Layer):
    """A pointwise (1 x 1) convolution with its weights prepared; see `pointwise_conv2d`.

    Immutable, thread-safe, picklable, and independent of the arrays that it was built from.

    Parameters
    ----------
    pointwise_kernel : ndarray, (1, 1, Cin, F) or (Cin, F), float32
        The matrix that mixes the channels of a pixel.
    data_format, bias, batch_norm, activation
        As in `pointwise_conv2d`.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape or value.

    See Also
    --------
    pointwise_conv2d : the same in one call.

    References
    ----------
    ``keras.layers.Conv2D`` with a kernel of 1 x 1.
    """

    __slots__ = ("_pointwise",)

    _pointwise: _core.Pointwise

    def __init__(
        self,
        pointwise_kernel: ArrayInput,
        data_format: str = "NHWC",
        *,
        bias: ArrayInput | None = None,
        batch_norm: BatchNorm | None = None,
        activation: ActivationInput = None,
    ) -> None:
        kernel = check.pointwise_kernel(pointwise_kernel)
        channels, filters = kernel.shape
        layout = check.data_format(data_format)
        half = checked_half(kernel, filters, "", bias, batch_norm, activation)
        self._set(
            _channels=channels,
            _filters=filters,
            _data_format=layout,
            _window=None,
            _kernels={"pointwise_kernel": kernel.shape},
            _settings={"data_format": layout, "activation": half.activation.argument},
            _num_parameters=half.num_parameters,
            _pointwise=_core.Pointwise(*half.packable()),
        )
        self._prepare(None, self._pointwise)

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
        x : ndarray, (N, H, W, Cin) or (H, W, Cin), float32
            In the order of the layer's data_format.
        residual, out, num_threads
            As in `pointwise_conv2d`.

        Returns
        -------
        ndarray, (N, H, W, F) or (H, W, F), float32
            `out`, where it was given.

        Raises
        ------
        TypeError
            For a wrong Python type or dtype.
        ValueError
            For a wrong shape, value, flag or overlap.
        """
        threads = get_num_threads() if num_threads is None else num_threads
        result = self._replay(x, residual, out, threads)
        return self._call(x, residual, out, threads) if result is None else result

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weights."""
        return self._pointwise.nbytes

    @classmethod
    def from_keras(
        cls, layer: object, batch_norm: object = None, activation: ActivationInput = None
    ) -> PointwiseConv2D:
        """Take weights and settings of a Keras ``Conv2D`` of 1 x 1, by its attributes.

        Parameters
        ----------
        layer : keras.layers.Conv2D
            A built layer of Keras 2 or 3 with strides and groups of 1.
        batch_norm, activation
            As in `DepthwiseConv2D.from_keras`.

        Raises
        ------
        TypeError
            For another kind of object.
        ValueError
            For a layer that cannot be expressed, with the reason.
        """
        arguments = _converters.keras_pointwise(layer, batch_norm, activation)
        return cls(**arguments, batch_norm=converted(batch_norm, BatchNorm.from_keras))

    @classmethod
    def from_torch(
        cls,
        module: object,
        *,
        batch_norm: object = None,
        activation: ActivationInput = None,
        data_format: str = "NCHW",
    ) -> PointwiseConv2D:
        """Take weights of a ``torch.nn.Conv2d`` of 1 x 1, by its attributes.

        Parameters
        ----------
        module : torch.nn.Conv2d
            With stride and groups of 1, unpadded.
        batch_norm, activation, data_format
            As in `DepthwiseConv2D.from_torch`.

        Raises
        ------
        TypeError
            For another kind of object.
        ValueError
            For a module that cannot be expressed, with the reason.
        """
        return cls(
            **_converters.torch_pointwise(module),
            batch_norm=converted(batch_norm, BatchNorm.from_torch),
            activation=activation,
            data_format=data_format,
        )

    def _weights(self) -> dict[str, Float32]:
        return dict(zip(("pointwise_kernel", "bias"), self._pointwise.weights(), strict=True))
