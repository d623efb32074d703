"""The depthwise layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from fastdw import _arguments as check
from fastdw import _core
from fastdw._batch_norm import BatchNorm
from fastdw._config import get_num_threads
from fastdw._geometry import Place, Signature, window
from fastdw._isa import chosen_isa
from fastdw.converters import keras, torch
from fastdw.layers._float16_sums import summed
from fastdw.layers._layer import Layer, converted
from fastdw.layers._spec import Epilogue, Packed, Spec, checked_half

if TYPE_CHECKING:
    from fastdw._typing import (
        ActivationInput,
        AnyArray,
        ArrayInput,
        ForeignActivation,
        Ints,
        PaddingInput,
    )


class DepthwiseSpec(Spec):
    """Of one half."""

    __slots__ = ()

    def pack(self) -> Packed:
        (half,) = self.halves
        weights = _core.Depthwise(*half.packable(), self.isa)
        operator = _core.Operator(weights, None, None, self.signature.channels_first)
        return Packed((weights,), operator)


def depthwise_spec(
    depthwise_kernel: object,
    place: Place,
    data_format: object,
    epilogue: Epilogue,
    dtype: object = "float32",
) -> DepthwiseSpec:
    """Check the arguments of a depthwise convolution."""
    name, kernel = "depthwise_kernel", check.depthwise_kernel(depthwise_kernel)
    _, _, channels, multiplier = kernel.shape
    filters = channels * multiplier
    layout = check.data_format(data_format)
    view = window(kernel.shape[:2], *place, layout, name)
    kind = check.layer_dtype(dtype)
    half = checked_half(name, "", kernel, filters, epilogue, kind)
    signature = Signature(layout, name, channels, filters, view, kind)
    return DepthwiseSpec(signature, (half,), None, chosen_isa())


@final
class DepthwiseConv2D(Layer):
    """A depthwise convolution with its weights prepared; see `depthwise_conv2d`.

    Immutable, thread-safe, picklable, and independent of the arrays that it was built from.

    Parameters
    ----------
    depthwise_kernel : ndarray, (kh, kw, C, m) or (kh, kw, C), float32
        One filter for each of the `m` outputs of each channel.
    strides, padding, data_format, dilation_rate, bias, batch_norm, activation
        As in `depthwise_conv2d`.
    dtype : {"float32", "float16"}
        Of x and of the result. With "float16" the kernel, BatchNorm folded in, is rounded to
        float16 too; sums are of float32, and rounded once. Bias and BatchNorm stay float32.
    accumulate : {"float32", "float16"}
        Of sums. "float16" goes with that dtype and needs a CPU with an FMA of halves: ARM with
        FEAT_FP16, such as the Cortex-A76, and not the A53 or A72. There ``isas16`` of
        `show_config` has an ``active`` set. 64 products at a time are then summed up in float16,
        and these sums in float32: an error of at most
        ``(64 + ceil(K/64) * 2**-13) * 2**-11 * sum(abs(x * w))`` for K products, before the result
        is rounded; a sum of 64 products beyond 65504 is infinite. The bits are those of
        ``fastdw.reference.float16_depthwise_conv2d``, and of the other functions named so, on
        every such CPU; with a `data_format` of "NCHW" the arrays are copied.

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
    depthwise_conv2d : the same in one call.

    References
    ----------
    ``keras.layers.DepthwiseConv2D``.

    Examples
    --------
    >>> layer = DepthwiseConv2D(np.ones((3, 3, 2), np.float32), padding="same", activation="relu")
    >>> layer(np.ones((1, 4, 4, 2), np.float32)).shape
    (1, 4, 4, 2)
    """

    __slots__ = ()

    def __init__(
        self,
        depthwise_kernel: ArrayInput,
        strides: Ints = 1,
        padding: PaddingInput = "valid",
        data_format: str = "NHWC",
        dilation_rate: Ints = 1,
        *,
        bias: ArrayInput | None = None,
        batch_norm: BatchNorm | None = None,
        activation: ActivationInput = None,
        dtype: str = "float32",
        accumulate: str = "float32",
    ) -> None:
        place = strides, dilation_rate, padding
        epilogue = bias, batch_norm, activation
        spec = depthwise_spec(depthwise_kernel, place, data_format, epilogue, dtype)
        self._prepare(summed(spec, accumulate))

    def __call__(
        self, x: ArrayInput, *, out: AnyArray | None = None, num_threads: int | None = None
    ) -> AnyArray:
        """Apply the layer.

        Parameters
        ----------
        x : ndarray, (N, H, W, C) or (H, W, C), of the layer's dtype
            In the order of the layer's data_format.
        out, num_threads
            As in `depthwise_conv2d`.

        Returns
        -------
        ndarray, (N, OH, OW, C*m) or (OH, OW, C*m), of the layer's dtype
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
    def from_keras(
        cls,
        layer: object,
        batch_norm: object = None,
        activation: ForeignActivation = None,
        *,
        padding: PaddingInput | None = None,
        own_activation: bool = True,
    ) -> DepthwiseConv2D:
        """Take weights and settings of a Keras layer, by its attributes.

        Parameters
        ----------
        layer : keras.layers.DepthwiseConv2D, or Conv2D with groups = channels
            A built layer of Keras 2 or 3. Of a DepthwiseConv1D or Conv1D the rows become columns:
            pass ``x[:, None]``, of height 1.
        batch_norm : BatchNorm or keras.layers.BatchNormalization, optional
            What follows the layer.
        activation : str, tuple, keras.layers.Layer, function or None
            What follows that: an activation of fastdw, or a ReLU, LeakyReLU, PReLU, ... of Keras.
            Functions are known by their values, and a PReLU must have one slope a channel.
        padding : str, int or pairs, optional
            In place of the layer's own, such as that of a ZeroPadding2D before it.
        own_activation : bool, default True
            Whether the layer's own activation is taken; if so, nothing can follow it.

        Returns
        -------
        DepthwiseConv2D
            That computes the same.

        Raises
        ------
        TypeError
            For another kind of object.
        ValueError
            For a layer that cannot be expressed, with the reason.
        """
        taken = keras.Taken(batch_norm, activation, padding, own_activation)
        arguments = keras.depthwise(layer, taken)
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
    ) -> DepthwiseConv2D:
        """Take weights and settings of a ``torch.nn.Conv2d`` with groups = in_channels.

        Parameters
        ----------
        module : torch.nn.Conv2d
            Its attributes are read. Of a Conv1d the rows become columns: pass ``x[:, :, None]``, of
            height 1.
        batch_norm : BatchNorm or torch.nn.BatchNorm2d, optional
            What follows the module, in evaluation mode.
        activation : str, tuple, torch.nn.Module, function or None
            What follows that: an activation of fastdw, or a ReLU6, Hardswish, PReLU, ... of
            PyTorch. Functions are known by their values.
        padding : str, int or pairs, optional
            In place of the module's own. Where this is a reflection or the like, pass 0, and `x`
            through ``np.pad``.
        data_format : {"NCHW", "channels_first", "NHWC", "channels_last"}
            Of the layer's `x`; the weights are the same for both.

        Returns
        -------
        DepthwiseConv2D
            That computes the same.

        Raises
        ------
        TypeError
            For another kind of object.
        ValueError
            For a module that cannot be expressed, with the reason.
        """
        return cls(
            **torch.depthwise(module, padding),
            batch_norm=converted(batch_norm, BatchNorm.from_torch),
            activation=torch.activation("activation", activation),
            data_format=data_format,
        )
