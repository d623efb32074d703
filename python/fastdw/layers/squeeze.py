"""The gate of squeeze-and-excitation."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from fastdw import _arguments as check
from fastdw._config import get_num_threads
from fastdw._geometry import Signature
from fastdw._isa import chosen_isa
from fastdw.converters import keras, torch
from fastdw.layers._composed import Composed
from fastdw.layers._spec import Spec, checked_half

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, ArrayInput, Float32
    from fastdw.network._symbol import Symbol


@final
class SqueezeExcite(Composed):
    """Squeeze-and-excitation: every channel times a factor that the means of all channels give.

    Immutable, thread-safe, picklable, and independent of the arrays that it was built from.

    Parameters
    ----------
    squeeze_kernel : ndarray, (1, 1, C, S) or (C, S), float32
        From the means of the channels to `S` numbers.
    excite_kernel : ndarray, (1, 1, S, C) or (S, C), float32
        From these to a factor for each channel.
    data_format
        As in `separable_conv2d`.
    squeeze_bias, bias : ndarray, (S,) and (C,), float32, optional
        Added before the activations.
    squeeze_activation, activation
        After the first and the second matrix, as in `separable_conv2d`. MobileNetV3 has "relu" and
        "hard_sigmoid", EfficientNet "swish" and "sigmoid".

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape or value.

    References
    ----------
    ``torchvision.ops.SqueezeExcitation``.

    Examples
    --------
    >>> gate = SqueezeExcite(np.ones((2, 1), np.float32), np.zeros((1, 2), np.float32))
    >>> float(gate(np.ones((4, 4, 2), np.float32)).max())
    0.5
    """

    __slots__ = ()

    def __init__(
        self,
        squeeze_kernel: ArrayInput,
        excite_kernel: ArrayInput,
        data_format: str = "NHWC",
        *,
        squeeze_bias: ArrayInput | None = None,
        squeeze_activation: ActivationInput = "relu",
        bias: ArrayInput | None = None,
        activation: ActivationInput = "sigmoid",
    ) -> None:
        names = ("squeeze_kernel", "excite_kernel")
        first = check.pointwise_kernel(squeeze_kernel, names[0])
        second = check.pointwise_kernel(excite_kernel, names[1])
        channels, squeezed = first.shape
        if second.shape != (squeezed, channels):
            msg = (
                f"excite_kernel must be ({squeezed}, {channels}) with squeeze_kernel {first.shape},"
                f" got {second.shape}"
            )
            raise ValueError(msg)
        epilogue = squeeze_bias, None, squeeze_activation
        halves = (
            checked_half(names[0], "squeeze_", first, squeezed, epilogue),
            checked_half(names[1], "", second, channels, (bias, None, activation)),
        )
        layout = check.data_format(data_format)
        signature = Signature(layout, names[0], channels, channels, None)
        self._prepare(Spec(signature, halves, None, chosen_isa()))

    @property
    def squeeze_activation(self) -> ActivationInput:
        """What is applied between the matrices, as a constructor takes it."""
        activation: ActivationInput = self._settings["squeeze_activation"]
        return activation

    @classmethod
    def from_keras(cls, squeeze_layer: object, excite_layer: object) -> SqueezeExcite:
        """Take weights and settings of two Keras ``Conv2D`` of 1 x 1, by their attributes.

        Parameters
        ----------
        squeeze_layer, excite_layer : keras.layers.Conv2D
            Built layers of Keras 2 or 3 with activations of their own. The errors are those of
            `PointwiseConv2D.from_keras`.

        Returns
        -------
        SqueezeExcite
            That computes the same.
        """
        return cls(**keras.gate(squeeze_layer, excite_layer))

    @classmethod
    def from_torch(cls, module: object, *, data_format: str = "NCHW") -> SqueezeExcite:
        """Take weights and activations of torchvision's ``SqueezeExcitation``, by its attributes.

        Parameters
        ----------
        module : torchvision.ops.SqueezeExcitation
            Its ``fc1``, ``activation``, ``fc2`` and ``scale_activation``.
        data_format
            As in `DepthwiseConv2D.from_torch`; so are the errors.

        Returns
        -------
        SqueezeExcite
            That computes the same.
        """
        return cls(**torch.gate(module), data_format=data_format)

    def __call__(
        self,
        x: ArrayInput,
        *,
        out: Float32 | None = None,
        num_threads: int | None = None,
    ) -> Float32:
        """Apply the layer.

        Parameters
        ----------
        x : ndarray, (N, H, W, C) or (H, W, C), float32
            In the order of the layer's data_format.
        out : ndarray, float32, optional
            As in `pointwise_conv2d`.
        num_threads : int, optional
            1 ... 1024; the default is `get_num_threads`.

        Returns
        -------
        ndarray, as `x`, float32
            `out`, where it was given.

        Raises
        ------
        TypeError
            For a wrong Python type or dtype.
        ValueError
            For a wrong shape, value, flag or overlap.
        """
        threads = get_num_threads() if num_threads is None else num_threads
        result: Float32 = self._call(x, None, out, threads)
        return result

    def _recorded(self, x: Symbol, residual: Symbol | None) -> Symbol:
        from fastdw.network._record import channels_first, channels_last

        order = self.data_format
        return channels_first(self._gated(channels_last(x, order)), order)

    def _gated(self, y: Symbol) -> Symbol:
        """Of images with their channels last."""
        from fastdw.network._record import record

        gate = record("global_pool", [y], function="average")
        for name, prefix in zip(self._kernels, self._prefixes, strict=True):
            kernel = self._arrays[name]
            gate = record(
                "conv2d",
                [gate],
                kernel=kernel.reshape(1, 1, *kernel.shape),
                bias=self._arrays[f"{prefix}bias"],
                activation=self._settings[f"{prefix}activation"],
            )
        return record("multiply", [y, gate])


SqueezeExcite.__call__.__qualname__ = "layer"
