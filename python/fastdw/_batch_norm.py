"""BatchNorm as an argument, and its folding into the weights before it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

import numpy as np

from fastdw import _core, _layers
from fastdw._arguments import FLOATS, as_array, describe, number, vector
from fastdw._immutable import Immutable
from fastdw.converters import keras, torch

if TYPE_CHECKING:
    from fastdw._typing import AnyArray, ArrayInput, Float32, Number


@final
class BatchNorm(Immutable):
    """The inference form of a batch normalisation.

    ``y = (x - mean) * gamma / sqrt(variance + epsilon) + beta``, one entry of each vector a
    channel. Operators fold it into their weights in float64 and round once to float32.

    Parameters
    ----------
    gamma, beta : ndarray, (channels,), float32 or float64, or None
        Scale and offset; None is 1 and 0.
    mean, variance : ndarray, (channels,), float32 or float64
        Moving statistics. They are referred to, as `gamma` and `beta` are, not copied.
    epsilon : float
        Added to the variance. It has no default because the frameworks disagree: Keras takes
        1e-3, PyTorch and ONNX 1e-5.

    Raises
    ------
    TypeError
        For another type or dtype, and for no mean or variance.
    ValueError
        For unequal lengths, a negative variance or epsilon, an entry that is not finite, or
        variance + epsilon = 0.

    References
    ----------
    ``keras.layers.BatchNormalization``, ``torch.nn.BatchNorm2d``, ONNX ``BatchNormalization``.
    """

    __slots__ = ("beta", "epsilon", "gamma", "mean", "variance")

    gamma: AnyArray | None
    beta: AnyArray | None
    mean: AnyArray
    variance: AnyArray
    epsilon: float

    def __init__(
        self,
        gamma: ArrayInput | None,
        beta: ArrayInput | None,
        mean: ArrayInput,
        variance: ArrayInput,
        epsilon: Number,
    ) -> None:
        moving_mean = as_array("mean", mean, FLOATS)
        if moving_mean.ndim != 1:
            msg = f"mean must have one axis, got shape {moving_mean.shape}"
            raise ValueError(msg)
        channels = len(moving_mean)
        self._set(
            gamma=None if gamma is None else vector("gamma", gamma, channels, FLOATS),
            beta=None if beta is None else vector("beta", beta, channels, FLOATS),
            mean=moving_mean,
            variance=vector("variance", variance, channels, FLOATS),
            epsilon=number("epsilon", epsilon),
        )
        self._check()

    @classmethod
    def from_keras(cls, layer: object) -> BatchNorm:
        """Take the weights of a Keras ``BatchNormalization``, by its attributes.

        Parameters
        ----------
        layer : keras.layers.BatchNormalization
            A built layer over the channels, of Keras 2 or 3.

        Returns
        -------
        BatchNorm
            That computes the same.

        Raises
        ------
        TypeError
            For another kind of object.
        ValueError
            For a layer without weights, or over several axes.
        """
        return cls(*keras.batch_norm(layer))

    @classmethod
    def from_torch(cls, module: object) -> BatchNorm:
        """Take the weights of a ``torch.nn.BatchNorm2d``, by its attributes.

        Parameters
        ----------
        module : torch.nn.BatchNorm2d
            A module with running statistics; the result is its form in evaluation mode.

        Returns
        -------
        BatchNorm
            That computes the same.

        Raises
        ------
        TypeError
            For another kind of object.
        ValueError
            For a module without running statistics.
        """
        return cls(*torch.batch_norm(module))

    @property
    def vectors(self) -> tuple[AnyArray | None, AnyArray | None, AnyArray, AnyArray]:
        """gamma, beta, mean and variance."""
        return self.gamma, self.beta, self.mean, self.variance

    def _check(self) -> None:
        """Refuse values out of range."""
        if not 0 <= self.epsilon < math.inf:
            msg = f"epsilon must be finite and at least 0, got {self.epsilon}"
            raise ValueError(msg)
        self._refuse_not_finite()
        least = float(self.variance.min(initial=math.inf))
        if least < 0:
            msg = f"variance must not be negative, got {least}"
            raise ValueError(msg)
        if least + self.epsilon == 0:
            msg = "variance + epsilon must be above 0, got 0"
            raise ValueError(msg)

    def _refuse_not_finite(self) -> None:
        names = ("gamma", "beta", "mean", "variance")
        for name, values in zip(names, self.vectors, strict=True):
            if values is not None and not np.isfinite(values).all():
                msg = f"{name} must be finite, got {describe(values)} with NaN or Inf"
                raise ValueError(msg)

    def fold(self, kernel: Float32, bias: Float32 | None) -> tuple[Float32, Float32]:
        """Kernel and bias that give the same as kernel, bias, then this.

        Parameters
        ----------
        kernel : ndarray, float32
            Its output channels are the last axis or, together, the last two.
        bias : ndarray, (channels,), float32, optional
            Added before this.

        Returns
        -------
        kernel, bias : ndarray, float32
            Computed in float64, rounded once.

        Raises
        ------
        ValueError
            Where the arrays have changed since, to what a BatchNorm refuses.
        """
        folded, offsets, in_range = _core.fold(kernel, bias, self.vectors, self.epsilon)
        if not in_range:  # the arrays may have changed, or an offset overflow
            self._check()
        return folded, offsets

    def __repr__(self) -> str:
        return f"BatchNorm(channels={len(self.mean)}, epsilon={self.epsilon})"

    def __reduce__(self) -> tuple[object, ...]:
        self._check_pickled(BatchNorm)
        return _restore, (*map(_layers.plain, self.vectors), self.epsilon)


def _restore(*state: Any) -> BatchNorm:
    """Build a BatchNorm from its pickle."""
    try:
        gamma, beta, mean, variance, epsilon = state
        return BatchNorm(
            None if gamma is None else _layers.array(gamma),
            None if beta is None else _layers.array(beta),
            _layers.array(mean),
            _layers.array(variance),
            epsilon,
        )
    except (AttributeError, TypeError, ValueError) as error:
        msg = f"this pickled BatchNorm is damaged: {error}"
        raise ValueError(msg) from error
