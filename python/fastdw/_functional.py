"""The operators as functions: weights packed for one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdw._config import get_num_threads
from fastdw.layers._call import checked_call
from fastdw.layers.conv import conv_spec
from fastdw.layers.depthwise import depthwise_spec
from fastdw.layers.pointwise import pointwise_spec
from fastdw.layers.separable import separable_spec

if TYPE_CHECKING:
    from fastdw._batch_norm import BatchNorm
    from fastdw._typing import ActivationInput, ArrayInput, Float32, Ints, PaddingInput
    from fastdw.layers._spec import Spec


def depthwise_conv2d(
    x: ArrayInput,
    depthwise_kernel: ArrayInput,
    strides: Ints = 1,
    padding: PaddingInput = "valid",
    data_format: str = "NHWC",
    dilation_rate: Ints = 1,
    *,
    bias: ArrayInput | None = None,
    batch_norm: BatchNorm | None = None,
    activation: ActivationInput = None,
    out: Float32 | None = None,
    num_threads: int | None = None,
) -> Float32:
    """Convolve every channel of an image with filters of its own.

    Output channel ``c*m + q`` is the cross-correlation of input channel ``c`` with
    ``depthwise_kernel[:, :, c, q]``; then come bias, BatchNorm and activation.

    Parameters
    ----------
    x : ndarray, (N, H, W, C) or (H, W, C), float32
        Images, or one. Any strides and alignment will do; so do CPU tensors with ``__dlpack__``
        and objects with the buffer protocol. Nothing is ever cast.
    depthwise_kernel : ndarray, (kh, kw, C, m) or (kh, kw, C), float32
        Three axes mean m = 1.
    strides : int or (int, int), default 1
        Pixels between windows: rows and columns.
    padding : str, int or pairs, default "valid"
        Zeros around `x`. "valid": none. "same": as many as give ceil(size / stride) outputs, the
        odd one after the image, "same_lower" before it; all in any case. Explicit: an int,
        (ph, pw), ((top, bottom), (left, right)), or four pairs in the order of `data_format`,
        zero for batch and channels.
    data_format : {"NHWC", "channels_last", "NCHW", "channels_first"}, default "NHWC"
        Order of the axes of `x` and of the result.
    dilation_rate : int or (int, int), default 1
        Pixels between taps: rows and columns.
    bias : ndarray, (C*m,), float32, optional
        Added to the sums.
    batch_norm : BatchNorm, optional
        Over C*m channels, applied after the bias; folded into the weights.
    activation : str, tuple or None
        Applied last: "linear", "relu", "relu6", "sigmoid", "hard_sigmoid", "tanh", "swish"
        ("silu"), "hard_swish" ("hard_silu"), "gelu", "gelu_tanh", "softplus", "mish",
        ("clip", lo, hi), ("leaky_relu", slope), ("elu", alpha), or ("prelu", slopes) with float32
        slopes (C*m,).
    out : ndarray, float32, optional
        Written and returned: of the result's shape, aligned, writeable, and apart from every
        input. Its strides may be any, such as those of a slice of a concatenation; the result is
        written in place where the channels of a pixel lie side by side.
    num_threads : int, optional
        1 ... 1024; the default is `get_num_threads`.

    Returns
    -------
    ndarray, (N, OH, OW, C*m) or (OH, OW, C*m), float32
        In the order of `data_format`; empty for N = 0.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape, value, flag or overlap, and where the output would be empty; `out` is
        untouched then.

    Notes
    -----
    Coming from elsewhere:

    - ONNX ``pads = [top, left, bottom, right]``: ``padding=((top, bottom), (left, right))``.
    - tf.nn ``strides = [1, sh, sw, 1]``: ``strides=(sh, sw)``; its four pairs of pads: as they are.
    - TFLite kernels (1, kh, kw, C*m): ``w[0].reshape(kh, kw, C, m)``.
    - PyTorch and ONNX kernels (C*m, 1, kh, kw): ``w.reshape(C, m, kh, kw).transpose(2, 3, 0, 1)``.
    - One axis: `x` of (N, W, C) as ``x[:, None]``, a kernel of (k, C, m) as ``kernel[None]``, and
      ``[:, 0]`` of the result.
    - Padding by reflection or around the edge is not done here: ``np.pad(x, ..., mode="reflect")``
      or ``"wrap"``, and padding="valid".

    See Also
    --------
    DepthwiseConv2D : the same with the weights prepared once.
    fastdw.reference.depthwise_conv2d : the definition in float64 NumPy.

    References
    ----------
    ``keras.ops.depthwise_conv``, ``tf.nn.depthwise_conv2d``; paddings and dilations as in ONNX
    ``Conv``.

    Examples
    --------
    >>> x = np.ones((1, 4, 4, 2), np.float32)
    >>> kernel = np.ones((3, 3, 2, 1), np.float32)
    >>> depthwise_conv2d(x, kernel).shape
    (1, 2, 2, 2)
    """
    place = strides, dilation_rate, padding
    epilogue = bias, batch_norm, activation
    spec = depthwise_spec(depthwise_kernel, place, data_format, epilogue)
    return _compute(spec, x, None, out, num_threads)


def conv2d(
    x: ArrayInput,
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
    residual: ArrayInput | None = None,
    out: Float32 | None = None,
    num_threads: int | None = None,
) -> Float32:
    """Convolve an image with filters over all of its channels, or over those of a group.

    The cross-correlation with `kernel`; then come bias, BatchNorm, residual and activation.

    Parameters
    ----------
    x : ndarray, (N, H, W, Cin) or (H, W, Cin), float32
        As in `depthwise_conv2d`.
    kernel : ndarray, (kh, kw, Cin / groups, F), float32
        The filters.
    strides, padding, data_format, dilation_rate
        As in `depthwise_conv2d`.
    groups : int, default 1
        A divisor of Cin and F: each group of output channels sees the input channels of its own.
        For as many groups as channels `depthwise_conv2d` is the faster way.
    bias, batch_norm, activation, residual
        As in `pointwise_conv2d`.
    out, num_threads
        As in `pointwise_conv2d`.

    Returns
    -------
    ndarray, (N, OH, OW, F) or (OH, OW, F), float32
        In the order of `data_format`; empty for N = 0.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape, value, flag or overlap, and where the output would be empty; `out` is
        untouched then.

    Notes
    -----
    Pads, strides and one axis are as in `depthwise_conv2d`. Kernels of PyTorch and ONNX (F, Cin /
    groups, kh, kw): ``w.transpose(2, 3, 1, 0)``; of TFLite (F, kh, kw, Cin):
    ``w.transpose(1, 2, 3, 0)``.

    See Also
    --------
    Conv2D : the same with the weights prepared once.
    fastdw.reference.conv2d : the definition in float64 NumPy.

    References
    ----------
    ``keras.ops.conv``, ``tf.nn.conv2d``; paddings, dilations and groups as in ONNX ``Conv``.

    Examples
    --------
    >>> x = np.ones((1, 4, 4, 3), np.float32)
    >>> conv2d(x, np.ones((3, 3, 3, 8), np.float32), 2, "same").shape
    (1, 2, 2, 8)
    """
    place = strides, dilation_rate, padding
    epilogue = bias, batch_norm, activation
    spec = conv_spec(kernel, place, data_format, groups, epilogue)
    return _compute(spec, x, residual, out, num_threads)


def pointwise_conv2d(
    x: ArrayInput,
    pointwise_kernel: ArrayInput,
    data_format: str = "NHWC",
    *,
    strides: Ints = 1,
    bias: ArrayInput | None = None,
    batch_norm: BatchNorm | None = None,
    activation: ActivationInput = None,
    residual: ArrayInput | None = None,
    out: Float32 | None = None,
    num_threads: int | None = None,
) -> Float32:
    """Mix the channels of every pixel: a 1 x 1 convolution.

    The vector of a pixel is multiplied with `pointwise_kernel`; then come bias, BatchNorm,
    residual and activation.

    Parameters
    ----------
    x : ndarray, (N, H, W, Cin) or (H, W, Cin), float32
        As in `depthwise_conv2d`.
    pointwise_kernel : ndarray, (1, 1, Cin, F) or (Cin, F), float32
        From PyTorch or ONNX: ``w[:, :, 0, 0].T``; from TFLite: ``w[:, 0, 0].T``.
    data_format : {"NHWC", "channels_last", "NCHW", "channels_first"}, default "NHWC"
        Order of the axes of `x`, `residual` and the result.
    strides : int or (int, int), default 1
        Rows and columns from one pixel that is taken to the next; those between are not read.
    bias : ndarray, (F,), float32, optional
        Added to the sums.
    batch_norm : BatchNorm, optional
        Over F channels, applied after the bias; folded into the weights.
    activation : str, tuple or None
        As in `depthwise_conv2d`, applied last; slopes (F,).
    residual : ndarray, the result's shape, float32, optional
        Added before the activation.
    out : ndarray, float32, optional
        As in `depthwise_conv2d`; it may be the residual itself.
    num_threads : int, optional
        As in `depthwise_conv2d`.

    Returns
    -------
    ndarray, (N, OH, OW, F) or (OH, OW, F), float32
        In the order of `data_format`; empty for N = 0.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape, value, flag or overlap; `out` is untouched then.

    See Also
    --------
    PointwiseConv2D : the same with the weights prepared once.
    fastdw.reference.pointwise_conv2d : the definition in float64 NumPy.

    References
    ----------
    ``keras.ops.conv`` and ONNX ``Conv`` with a kernel of 1 x 1.

    Examples
    --------
    >>> x = np.ones((1, 4, 4, 2), np.float32)
    >>> pointwise_conv2d(x, np.ones((2, 5), np.float32), strides=2).shape
    (1, 2, 2, 5)
    """
    spec = pointwise_spec(pointwise_kernel, data_format, strides, (bias, batch_norm, activation))
    return _compute(spec, x, residual, out, num_threads)


def separable_conv2d(
    x: ArrayInput,
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
    residual: ArrayInput | None = None,
    out: Float32 | None = None,
    num_threads: int | None = None,
) -> Float32:
    """Convolve every channel on its own, then mix the channels of every pixel, in one go.

    `pre_activation`, the depthwise half, its bias, BatchNorm and activation; then the pointwise
    half, its bias, BatchNorm, the residual and the activation. The tensor in the middle never
    exists as a whole.

    Parameters
    ----------
    x : ndarray, (N, H, W, C) or (H, W, C), float32
        As in `depthwise_conv2d`.
    depthwise_kernel : ndarray, (kh, kw, C, m) or (kh, kw, C), float32
        As in `depthwise_conv2d`.
    pointwise_kernel : ndarray, (1, 1, C*m, F) or (C*m, F), float32
        As in `pointwise_conv2d`.
    strides, padding, data_format, dilation_rate
        Of the depthwise half, as in `depthwise_conv2d`.
    pre_activation : str, tuple or None
        Applied to `x`, slopes (C,). Where `x` is padded, it must map 0 to 0.
    depthwise_bias : ndarray, (C*m,), float32, optional
        Added to the sums of the depthwise half.
    depthwise_batch_norm : BatchNorm, optional
        Over C*m channels.
    depthwise_activation : str, tuple or None
        As in `depthwise_conv2d`, slopes (C*m,).
    bias : ndarray, (F,), float32, optional
        Added to the sums of the pointwise half.
    batch_norm : BatchNorm, optional
        Over F channels.
    activation : str, tuple or None
        As in `depthwise_conv2d`, slopes (F,).
    residual : ndarray, the result's shape, float32, optional
        Added before `activation`.
    out : ndarray, float32, optional
        As in `depthwise_conv2d`; it may be the residual itself.
    num_threads : int, optional
        As in `depthwise_conv2d`.

    Returns
    -------
    ndarray, (N, OH, OW, F) or (OH, OW, F), float32
        In the order of `data_format`; empty for N = 0.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape, value, flag or overlap, and where the output would be empty; `out` is
        untouched then.

    See Also
    --------
    SeparableConv2D : the same with the weights prepared once.
    fastdw.reference.separable_conv2d : the definition in float64 NumPy.

    References
    ----------
    ``keras.ops.separable_conv``, ``tf.nn.separable_conv2d``; paddings and dilations as in ONNX
    ``Conv``.

    Examples
    --------
    >>> x = np.ones((1, 4, 4, 2), np.float32)
    >>> depthwise_kernel = np.ones((3, 3, 2, 1), np.float32)
    >>> pointwise_kernel = np.ones((2, 5), np.float32)
    >>> separable_conv2d(x, depthwise_kernel, pointwise_kernel, padding="same").shape
    (1, 4, 4, 5)
    """
    spec = separable_spec(
        (depthwise_kernel, pointwise_kernel),
        (strides, dilation_rate, padding),
        data_format,
        pre_activation,
        (depthwise_bias, depthwise_batch_norm, depthwise_activation),
        (bias, batch_norm, activation),
    )
    return _compute(spec, x, residual, out, num_threads)


def _compute(spec: Spec, x: object, residual: object, out: object, num_threads: object) -> Float32:
    """Check the call before the weights, perhaps huge ones, are folded and packed."""
    threads = get_num_threads() if num_threads is None else num_threads
    call = checked_call(spec.signature, x, residual, out, threads, spec.arrays())
    operator = spec.pack().operator
    if call.out.size:
        call.run(operator)
    return call.result
