"""The dense layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

import numpy as np

from fastdw import _arguments as check
from fastdw import _core
from fastdw._arguments import dense
from fastdw._batch_norm import BatchNorm
from fastdw._geometry import Place, Signature, window
from fastdw._isa import chosen_isa
from fastdw.converters import keras, torch
from fastdw.layers._float16_sums import Float16Sums, packed, summed
from fastdw.layers._layer import AddingLayer, converted
from fastdw.layers._spec import Epilogue, Half, Packed, Spec, checked_half

if TYPE_CHECKING:
    from fastdw._typing import (
        ActivationInput,
        ArrayInput,
        Float32,
        ForeignActivation,
        Ints,
        PaddingInput,
    )


class ConvSpec(Spec):
    """Of one half, whose output channels are divided among groups."""

    __slots__ = ()

    def pack(self) -> Packed:
        (half,) = self.halves
        shares = _shares(half, _groups(self))
        parts = tuple(_core.Pointwise(*share, self.isa) for share in shares)
        first, size = self.signature.channels_first, half.kernel.shape[:2]
        return Packed(parts, _core.Operator(None, parts, None, first, size))

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"groups": _groups(self)}


class ConvFloat16Sums(Float16Sums):
    """The same with sums of float16."""

    __slots__ = ()

    def pack(self) -> Packed:
        (half,), first = self.halves, self.signature.channels_first
        size = half.kernel.shape[:2]
        parts = tuple(
            _core.Pointwise16(matrix.astype(np.float16).view(np.uint16), bias, activation)
            for matrix, bias, activation in _shares(half, _groups(self))
        )
        operators = tuple(_core.Operator16(None, part, first, size) for part in parts)
        return packed(parts, operators, first)

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"groups": _groups(self)}


def _groups(spec: Spec) -> int:
    inputs: int = spec.halves[0].kernel.shape[2]
    return spec.signature.channels // inputs


def _shares(half: Half, groups: int) -> Iterator[tuple[Float32, Float32 | None, _core.Activation]]:
    """Matrix, bias and activation of each group, as the core takes them."""
    kernel, bias, _ = half.packable()
    filters = kernel.shape[3]
    matrix, each = kernel.reshape(-1, filters), filters // groups
    for first in range(0, filters, each):
        part = slice(first, first + each)
        activation = half.activation.sliced("activation", part).core
        yield dense(matrix[:, part]), None if bias is None else bias[part], activation


def conv_spec(
    kernel: object,
    place: Place,
    data_format: object,
    groups: object,
    epilogue: Epilogue,
    dtype: object = "float32",
) -> ConvSpec:
    """Check the arguments of a dense convolution."""
    name, weights = "kernel", check.dense_kernel(kernel)
    *size, inputs, filters = weights.shape
    channels = inputs * check.groups(groups, filters)
    layout = check.data_format(data_format)
    view = window((size[0], size[1]), *place, layout, name)
    kind = check.layer_dtype(dtype)
    half = checked_half(name, "", weights, filters, epilogue, kind)
    signature = Signature(layout, name, channels, filters, view, kind)
    return ConvSpec(signature, (half,), None, chosen_isa())


@final
class Conv2D(AddingLayer):
    """A dense convolution with its weights prepared; see `conv2d`.

    Immutable, thread-safe, picklable, and independent of the arrays that it was built from.

    Parameters
    ----------
    kernel : ndarray, (kh, kw, Cin / groups, F), float32
        The filters.
    strides, padding, data_format, dilation_rate, groups, bias, batch_norm, activation
        As in `conv2d`.
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
    conv2d : the same in one call.
    DepthwiseConv2D : for as many groups as channels.

    References
    ----------
    ``keras.layers.Conv2D``, ``torch.nn.Conv2d``.

    Examples
    --------
    >>> layer = Conv2D(np.ones((3, 3, 3, 8), np.float32), 2, "same")
    >>> layer.output_shape((1, 224, 224, 3))
    (1, 112, 112, 8)
    """

    __slots__ = ()

    def __init__(
        self,
        kernel: ArrayInput,
        strides: Ints = 1,
        padding: PaddingInput = "valid",
        data_format: str = "NHWC",
        dilation_rate: Ints = 1,
        *,
        groups: int = 1,
        bias: ArrayInput | None = None,
        batch_norm: BatchNorm | None = None,
        activation: ActivationInput = None,
        dtype: str = "float32",
        accumulate: str = "float32",
    ) -> None:
        place = strides, dilation_rate, padding
        epilogue = bias, batch_norm, activation
        spec = conv_spec(kernel, place, data_format, groups, epilogue, dtype)
        self._prepare(summed(spec, accumulate, ConvFloat16Sums))

    @property
    def groups(self) -> int:
        """Into how many groups the channels are divided."""
        groups: int = self._settings["groups"]
        return groups

    @classmethod
    def from_keras(
        cls,
        layer: object,
        batch_norm: object = None,
        activation: ForeignActivation = None,
        *,
        padding: PaddingInput | None = None,
        own_activation: bool = True,
    ) -> Conv2D:
        """Take weights and settings of a Keras ``Conv2D``, by its attributes.

        Parameters
        ----------
        layer : keras.layers.Conv2D or Conv1D
            A built layer of Keras 2 or 3.
        batch_norm, activation, padding, own_activation
            As in `DepthwiseConv2D.from_keras`; so are the errors.

        Returns
        -------
        Conv2D
            That computes the same.
        """
        arguments = keras.dense(layer, keras.Taken(batch_norm, activation, padding, own_activation))
        return cls(**arguments, batch_norm=converted(batch_norm, BatchNorm.from_keras))

    @classmethod
    def from_torch(
        cls,
        module: object,
        *,
        batch_norm: object = None,
        activation: ForeignActivation = None,
        padding: PaddingInput | None = None,
        data_format: str = "NCHW",
    ) -> Conv2D:
        """Take weights and settings of a ``torch.nn.Conv2d``, by its attributes.

        Parameters
        ----------
        module : torch.nn.Conv2d or Conv1d
            Of any kernel and groups.
        batch_norm, activation, padding, data_format
            As in `DepthwiseConv2D.from_torch`; so are the errors.

        Returns
        -------
        Conv2D
            That computes the same.
        """
        return cls(
            **torch.dense(module, padding),
            batch_norm=converted(batch_norm, BatchNorm.from_torch),
            activation=torch.activation("activation", activation),
            data_format=data_format,
        )

    def _weights(self) -> dict[str, Float32]:
        parts = [part.weights() for part in self._parts]
        matrix = np.concatenate([kernel for kernel, _ in parts], axis=1)
        bias = np.concatenate([bias for _, bias in parts])
        return {"kernel": matrix.reshape(self._kernels["kernel"]), "bias": bias}
