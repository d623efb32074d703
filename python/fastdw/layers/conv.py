"""The dense layer."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, final

import numpy as np

from fastdw import _arguments as check
from fastdw import _converters, _core
from fastdw._batch_norm import BatchNorm
from fastdw._config import get_num_threads
from fastdw._geometry import window
from fastdw.layers._layer import Layer, checked_half, converted

if TYPE_CHECKING:
    from fastdw._geometry import Window
    from fastdw._typing import ActivationInput, ArrayInput, Float32, Ints, PaddingInput


@final
class Conv2D(Layer):
    """A dense convolution with its weights prepared; see `conv2d`.

    Immutable, thread-safe, picklable, and independent of the arrays that it was built from.

    Parameters
    ----------
    kernel : ndarray, (kh, kw, Cin / groups, F), float32
        The filters.
    strides, padding, data_format, dilation_rate, groups, bias, batch_norm, activation
        As in `conv2d`.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape or value.

    See Also
    --------
    conv2d : the same in one call.
    DepthwiseConv2D : for as many groups as channels.

    References
    ----------
    ``keras.layers.Conv2D``, ``torch.nn.Conv2d``.
    """

    __slots__ = ("_groups",)

    _groups: tuple[_core.Pointwise, ...]
    _window: Window

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
    ) -> None:
        weights = check.dense_kernel(kernel)
        size, (inputs, filters) = weights.shape[:2], weights.shape[2:]
        count = check.groups(groups, filters)
        layout = check.data_format(data_format)
        view = window(size, strides, dilation_rate, padding, layout, "kernel")
        whole = checked_half(weights, filters, "", bias, batch_norm, activation)
        self._set(
            _channels=inputs * count,
            _filters=filters,
            _data_format=layout,
            _window=view,
            _kernels={"kernel": weights.shape},
            _settings=view.arguments
            | {
                "data_format": layout,
                "groups": count,
                "activation": whole.activation.argument,
            },
            _num_parameters=whole.num_parameters,
        )
        folded, shift, _ = whole.packable()
        matrix = folded.reshape(prod(size) * inputs, filters)
        each = filters // count
        parts = []
        for first in range(0, filters, each):
            part = slice(first, first + each)
            parts.append(
                _core.Pointwise(
                    np.ascontiguousarray(matrix[:, part]),
                    None if shift is None else np.ascontiguousarray(shift[part]),
                    whole.activation.sliced("activation", part).core,
                )
            )
        self._set(_groups=tuple(parts))
        self._prepare(None, self._groups, kernel_size=size)

    def __call__(
        self,
        x: ArrayInput,
        *,
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
            As in `conv2d`.

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
        return sum(part.nbytes for part in self._groups)

    @classmethod
    def from_keras(
        cls, layer: object, batch_norm: object = None, activation: ActivationInput = None
    ) -> Conv2D:
        """Take weights and settings of a Keras ``Conv2D``, by its attributes.

        Parameters
        ----------
        layer : keras.layers.Conv2D
            A built layer of Keras 2 or 3.
        batch_norm, activation
            As in `DepthwiseConv2D.from_keras`.

        Raises
        ------
        TypeError
            For another kind of object.
        ValueError
            For a layer that cannot be expressed, with the reason.
        """
        arguments = _converters.keras_dense(layer, batch_norm, activation)
        return cls(**arguments, batch_norm=converted(batch_norm, BatchNorm.from_keras))

    @classmethod
    def from_torch(
        cls,
        module: object,
        *,
        batch_norm: object = None,
        activation: ActivationInput = None,
        data_format: str = "NCHW",
    ) -> Conv2D:
        """Take weights and settings of a ``torch.nn.Conv2d``, by its attributes.

        Parameters
        ----------
        module : torch.nn.Conv2d
            Of any kernel and groups.
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
            **_converters.torch_dense(module),
            batch_norm=converted(batch_norm, BatchNorm.from_torch),
            activation=activation,
            data_format=data_format,
        )

    def _weights(self) -> dict[str, Float32]:
        parts = [part.weights() for part in self._groups]
        matrix = np.concatenate([kernel for kernel, _ in parts], axis=1)
        bias = np.concatenate([bias for _, bias in parts])
        return {"kernel": matrix.reshape(self._kernels["kernel"]), "bias": bias}
