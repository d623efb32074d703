"""The fully connected layer."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, final

from fastdw import _arguments as check
from fastdw._batch_norm import BatchNorm
from fastdw._isa import chosen_isa
from fastdw.converters import keras, torch
from fastdw.layers._composed import Composed, RowSignature
from fastdw.layers._layer import AddingLayer, converted
from fastdw.layers._spec import Spec, checked_half

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, ArrayInput, ForeignActivation
    from fastdw.network._symbol import Symbol


class DenseSpec(Spec):
    """Of one half, without a place on images."""

    __slots__ = ()

    def settings(self) -> dict[str, Any]:
        return {"activation": self.halves[0].activation.argument}


@final
class Dense(Composed, AddingLayer):
    """A fully connected layer: a matrix that mixes the last axis.

    Immutable, thread-safe, picklable, and independent of the arrays that it was built from. It
    takes (N, …, Cin), or (Cin,) for one row, arrays as well as the symbols of a network.

    Parameters
    ----------
    kernel : ndarray, (Cin, F), float32
        The matrix.
    bias, batch_norm, activation
        As in `pointwise_conv2d`.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape or value.

    References
    ----------
    ``keras.layers.Dense``, ``torch.nn.Linear``.

    Examples
    --------
    >>> layer = Dense(np.ones((3, 2), np.float32), activation="relu")
    >>> layer(np.ones((1, 3), np.float32)).tolist()
    [[3.0, 3.0]]
    """

    __slots__ = ()

    def __init__(
        self,
        kernel: ArrayInput,
        *,
        bias: ArrayInput | None = None,
        batch_norm: BatchNorm | None = None,
        activation: ActivationInput = None,
    ) -> None:
        matrix = check.matrix("kernel", kernel)
        channels, filters = matrix.shape
        half = checked_half("kernel", "", matrix, filters, (bias, batch_norm, activation))
        signature = RowSignature("NHWC", "kernel", channels, filters, None)
        self._prepare(DenseSpec(signature, (half,), None, chosen_isa()))

    @classmethod
    def from_keras(
        cls,
        layer: object,
        batch_norm: object = None,
        activation: ForeignActivation = None,
        *,
        own_activation: bool = True,
    ) -> Dense:
        """Take weights and settings of a Keras ``Dense``, by its attributes.

        Parameters
        ----------
        layer : keras.layers.Dense
            A built layer of Keras 2 or 3.
        batch_norm, activation, own_activation
            As in `DepthwiseConv2D.from_keras`; so are the errors.

        Returns
        -------
        Dense
            That computes the same.
        """
        arguments = keras.rows(layer, keras.Taken(batch_norm, activation, None, own_activation))
        return cls(**arguments, batch_norm=converted(batch_norm, BatchNorm.from_keras))

    @classmethod
    def from_torch(
        cls,
        module: object,
        *,
        batch_norm: object = None,
        activation: ForeignActivation = None,
    ) -> Dense:
        """Take weights of a ``torch.nn.Linear``, by its attributes.

        Parameters
        ----------
        module : torch.nn.Linear
            With or without a bias.
        batch_norm, activation
            As in `DepthwiseConv2D.from_torch`; so are the errors.

        Returns
        -------
        Dense
            That computes the same.
        """
        return cls(
            **torch.rows(module),
            batch_norm=converted(batch_norm, BatchNorm.from_torch),
            activation=torch.activation("activation", activation),
        )

    def _image_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[1:] or shape

    def _recorded(self, x: Symbol, residual: Symbol | None) -> Symbol:
        from fastdw.network._record import record

        kernel = self._arrays["kernel"]
        rows = x.image_shape[:-1]
        flat = [
            None if y is None else record("reshape", [y], shape=(1, prod(rows), y.image_shape[-1]))
            for y in (x, residual)
        ]
        y = record(
            "conv2d",
            flat,
            kernel=kernel.reshape(1, 1, *kernel.shape),
            bias=self._arrays["bias"],
            activation=self._settings["activation"],
        )
        return record("reshape", [y], shape=(*rows, kernel.shape[1]))
